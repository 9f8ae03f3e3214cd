"""Recipes on verl 0.9.1: its V1 trainer, FSDP workers and vLLM servers, unmodified, with our ten steps in its hooks.

Before the launch
    plan.py            what verl would do with a recipe, its memory, and the keys that it cannot honour
    settings.py        the recipe in verl's settings
    launch.py          data and settings into the run folder, then `python -m verl.trainer.main_ppo`
    stage.py           the stage, as every process of verl loads it
    watch.py           the run in the terminal of the launch, and Ctrl-C

In verl's processes
    plugin.py          what every one imports: registers the parts below
    trainer.py         PPOTrainerSync with our steps in its hooks; the map is in its docstring
    rollouts.py        what was asked for in a step, and what came back; rows.py packs problems and episodes
    replay_buffer.py   verl's, with an eye on the workers; batches.py puts our rows among verl's
    agent_loop.py      steps 3 and 4: an environment over verl's servers, judged where it was played
    advantage_fields.py    what steps 6 to 9 give to verl's actor and value head
    actor_update.py    step 10: whole groups in each update; losses.py and engine.py run in verl's actor
    prompt_values.py   what the value head expects of a prompt
    evaluation.py      held-out sets, over client.py; exports.py has checkpoints and what was evaluated at them
    step_row.py        verl's numbers under our names; faults.py names an actor that died

Beside them
    convert.py         shards of verl as a Hugging Face folder, without verl
    reward_manager.py  our verifiers for plain verl recipes
    cpu/               a platform without accelerators: everything above is tested on it, for real
"""
