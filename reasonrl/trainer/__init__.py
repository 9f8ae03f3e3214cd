"""The local training loop: `loop.py` reads from top to bottom."""
