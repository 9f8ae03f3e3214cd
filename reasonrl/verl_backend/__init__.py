"""Recipes on verl 0.9.1: its V1 trainer, FSDP workers and vLLM servers, unmodified, with our ten steps in its hooks.

plan.py          a recipe in verl's settings, checked against the installed verl, and said in words
launch.py        data and settings into the run folder, then `python -m verl.trainer.main_ppo`
plugin.py        what every verl process imports: registers the parts below
watch.py         the run in the terminal of the launch, and Ctrl-C
trainer.py       PPOTrainerSync with our steps 1, 2 and 5 to 10; rollouts.py has the book-keeping of a step, exports.py
                 that of weights
agent_loop.py    steps 3 and 4: an environment over verl's servers, judged where it was played
losses.py, engine.py    step 10 in verl's actor: our losses over tokens, learning rates, exact means
convert.py       shards of verl as a Hugging Face folder, without verl
reward_manager.py    our verifiers for plain verl recipes
rows.py          problems and episodes on their way through TransferQueue
cpu/             a platform without accelerators: everything above is tested on it, for real
"""
