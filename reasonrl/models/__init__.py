"""Loading language models, and running them without computing anything twice."""
