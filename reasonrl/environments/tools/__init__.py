"""Tools that a policy calls between its turns: what they are, how calls are written and read, and their episodes."""
