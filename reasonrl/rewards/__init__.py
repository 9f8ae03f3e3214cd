"""The reward of an episode: verdicts, reward parts, and their weighted sum."""
