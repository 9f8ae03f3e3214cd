"""The Python API behind `from reasonrl import ...`: what the commands do, as functions that return objects."""
