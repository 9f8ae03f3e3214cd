"""What each method is: one declaration a method, and the only place that lists them.

A recipe's rules, the trainers, `replay` and the plan ask these declarations; none of them knows a method by its name.
Nothing here imports torch, so reading a recipe stays fast: a function is imported when it is first called.

To add an advantage or a loss, write its file and add its line. A user's own needs neither: `ADVANTAGES["module:name"]`
and `LOSSES["module:name"]` look into the user's module (docs/extending.md).
"""

from __future__ import annotations

from reasonrl.algorithms.declarations import Advantage, Aggregation, Loss, Methods, declare_advantage, declare_loss

__all__ = [
    "ADVANTAGES",
    "DEFAULT_ADVANTAGE",
    "DEFAULT_LOSS",
    "LOSSES",
    "ROW_WEIGHT_LOSS",
    "Advantage",
    "Aggregation",
    "Loss",
]

_CLIPS = ("old_logprobs", "clip_low", "clip_high")

ADVANTAGES = Methods(
    declare_advantage,
    {
        "grpo": Advantage("grpo:grpo_advantages", "group", divides_by="group_std", tree_term=True),
        "dr_grpo": Advantage("dr_grpo:dr_grpo_advantages", "group", tree_term=True, aggregation="sequence_sum"),
        "rloo": Advantage("rloo:rloo_advantages", "group", tree_term=True),
        "reinforce_pp": Advantage("reinforce_pp:reinforce_pp_advantages", "batch", needs=("lengths",)),
        "reinforce_pp_baseline": Advantage(
            "reinforce_pp:reinforce_pp_baseline_advantages", "group", needs=("lengths",)
        ),
        "remax": Advantage(
            "remax:remax_advantages",
            "greedy",
            needs=("greedy_rewards",),
            tree_term=True,
            ignores_shaping="compares with the reward of the greedy response, which is not shaped",
            needs_drawn_rows=True,
        ),
        "opo": Advantage("opo:opo_advantages", "group", needs=("lengths",), tree_term=True),
        "gpg": Advantage("gpg:gpg_advantages", "group"),
        "passk": Advantage("passk:passk_advantages", "group", needs_drawn_rows=True),
        "lite_ppo": Advantage("lite_ppo:lite_ppo_advantages", "group", divides_by="batch_std", tree_term=True),
        "gdpo": Advantage(
            "gdpo:gdpo_advantages",
            "group",
            needs=("lengths", "reward_parts", "part_weights"),
            ignores_shaping="normalises the parts of the reward",
            needs_drawn_rows=True,
        ),
        "max_rl": Advantage("max_rl:max_rl_advantages", "group"),
        "shrinkage": Advantage(
            "shrinkage:shrinkage_advantages",
            "prediction",
            needs=("predictions",),
            tree_term=True,
            needs_drawn_rows=True,
        ),
        "dcpo": Advantage(
            "dcpo:remembered_advantages",
            "history",
            needs=("problem_id", "moments"),
            needs_drawn_rows=True,
            learns_from_equal_rewards=True,
        ),
    },
)
"""The advantages by name."""

LOSSES = Methods(
    declare_loss,
    {
        "ppo_clip": Loss("ppo_clip:ppo_clip_loss", "token", takes=(*_CLIPS, "dual_clip")),
        # The ratio is the response's, the advantage each token's own: credit of single tokens is kept.
        "gspo": Loss("gspo:gspo_loss", "token", (*_CLIPS, "mask"), aggregation="sequence_mean"),
        "cispo": Loss("cispo:cispo_loss", "token", takes=_CLIPS),
        "geometric_mean": Loss(
            "geometric_mean:geometric_mean_loss",
            "sequence",
            takes=(*_CLIPS, "mask"),
            aggregation="sequence_mean",
        ),
        "reinforce": Loss("reinforce:reinforce_loss", "token"),
        "mirror_descent": Loss("mirror_descent:mirror_descent_loss", "token", takes=("old_logprobs", "mirror_beta")),
        "dcpo_clip": Loss("dcpo_bounds:dcpo_clip_loss", "token", takes=("old_logprobs",)),
        "disco": Loss("disco:disco_row_loss", "group", aggregation="sequence_mean"),
        "drpo": Loss("drpo:drpo_row_loss", "group", aggregation="sequence_mean"),
        "trpa": Loss("trpa:trpa_row_loss", "group", needs_reference=True, aggregation="sequence_mean"),
    },
)
"""The policy losses by name."""

DEFAULT_ADVANTAGE = "grpo"
DEFAULT_LOSS = "ppo_clip"
ROW_WEIGHT_LOSS = "reinforce"
"""The plain policy gradient. A loss of level "group" reaches the tokens through it, as a weight of each row."""
