"""Steps 1, 2 and 5 to 9 of an update, and its record, for both trainers.

prompts      1 select, 2 allocate, 5 observe: which problems, how many rollouts, what is remembered
rollouts     the rollouts of one step, as they come in
advantages   6 filter, 7 shape, 8 advantage, 9 select
prepared     what 6 to 9 make of the rollouts
pipeline     `UpdatePipeline`: 6 to 9 in one call, and the record of the step
metrics      the numbers of a step; samples: its rows of samples.jsonl; health: does the run still learn?
objective    the loss that a recipe trains with; schedule: its learning rates
"""
