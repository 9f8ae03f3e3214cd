"""Recipes on verl 0.9.1: its V1 trainer, FSDP workers and vLLM servers, unmodified, with our ten steps in its hooks.

plan.py          a recipe in verl's settings, checked against the installed verl, and said in words
launch.py        data and settings into the run folder, then `python -m verl.trainer.main_ppo`
plugin.py        what every verl process imports: registers the parts below
trainer.py       PPOTrainerSync with our steps 1, 2 and 5 to 9
agent_loop.py    steps 3 and 4: an environment over verl's servers, judged where it was played
losses.py        step 10: our losses over tokens, in verl's actor
reward_manager.py    our verifiers for plain verl recipes
rows.py          problems and episodes on their way through TransferQueue
cpu/             a platform without accelerators: everything above is tested on it, for real
"""
