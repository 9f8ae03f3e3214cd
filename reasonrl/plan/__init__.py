"""`reasonrl train --dry-run`: checks and an estimate before anything is trained, and both as text."""
