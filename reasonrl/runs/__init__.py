"""The run folder: what is in it, reading it while it grows, the report, the viewer, and the table printed while
training.

Nothing is imported here: every command loads only the module that it needs.
"""
