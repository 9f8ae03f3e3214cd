"""From a response to the program that runs."""
