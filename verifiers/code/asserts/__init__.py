"""Reads assert-style tests: text becomes calls and what is expected of them. Nothing of the text is executed."""
