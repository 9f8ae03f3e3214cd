"""Calls of what a user wrote: one message with its file and line, limits in time, a process that stays as it was."""
