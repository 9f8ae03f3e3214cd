"""What runs in the sandbox: standard library alone, and nothing that decides anything."""
