"""Step 1 of an update: which problems come next."""
