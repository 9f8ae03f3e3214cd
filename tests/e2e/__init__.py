"""The public commands as a new user runs them, on tokenizers and chat templates that are made on the spot."""
