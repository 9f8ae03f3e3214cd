"""What an episode earns: verdicts, reward parts, and their weighted sum."""
