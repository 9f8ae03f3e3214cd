"""Step 2 of an update: how many rollouts each prompt gets."""
