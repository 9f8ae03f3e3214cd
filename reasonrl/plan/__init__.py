"""What `reasonrl train --dry-run` says before anything is trained: checks, an estimate, and both as text."""
