"""What is expected of an outcome, decided in the caller's process."""
