"""What each method is: one declaration a method, and the only place that lists them.

A recipe's rules, the trainers, `replay` and the plan ask these declarations; none of them knows a method by its name.
Nothing here imports torch, so reading a recipe stays fast: a function is imported when it is first called.

To add an advantage or a loss, write its file and add its line.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

Aggregation = Literal["token_mean", "sequence_mean", "sequence_sum"]


@dataclass(frozen=True)
class Advantage:
    """An advantage estimator: `function(rewards [B], group [B], judged [B], **needs) -> [B]`."""

    function: str
    """module:function in `reasonrl.algorithms.advantages`."""
    baseline: Literal["group", "batch", "greedy", "prediction", "history"]
    """What a reward is compared with: the other rollouts of its prompt, those of the whole batch, the greedy response,
    a prediction made before the rollouts, or earlier rollouts of the prompt. Only a group baseline needs two rollouts.
    """
    needs: tuple[str, ...] = ()
    """Keyword arguments besides rewards, group and judged: lengths [B], greedy_rewards [B], predictions [B],
    reward_parts and part_weights by name, moments (what is remembered of each prompt).
    """
    divides_by: Literal["nothing", "group_std", "batch_std"] = "nothing"
    """The scale of the estimator. TEMPO divides its tree term by the same scale."""
    tree_term: bool = False
    """A reward less a baseline, and at most a scale: TEMPO's tree term can be added."""
    ignores_shaping: str = ""
    """Why a shaped reward has no effect; empty where it has one."""
    needs_drawn_rows: bool = False
    """Every row must be drawn by the policy: critique-guided refinements (Critique-GRPO) have no place."""
    learns_from_equal_rewards: bool = False
    """A group whose rewards are all equal still has advantages, so dropping such groups loses something."""
    aggregation: Aggregation = "token_mean"
    """How token losses become one number unless the recipe says otherwise."""

    def load(self) -> Callable[..., Any]:
        return _load("advantages", self.function)


@dataclass(frozen=True)
class Loss:
    """A policy loss.

    Token losses are `function(logprobs [B, T], advantages [B, T], **takes)` and return the loss [B, T], or the pair of
    it and where a bound was active [B, T]. Losses of level "group" are `function(ScoredRows) -> scalar`.
    """

    function: str
    """module:function in `reasonrl.algorithms.losses`."""
    level: Literal["token", "sequence", "group"]
    """What one term of the loss is about: a token, a whole response, or the responses of a prompt against each other.
    From "sequence" on, credit of single tokens would be averaged away; from "group" on, advantages play no part.
    """
    takes: tuple[str, ...] = ()
    """Keyword arguments besides log-probs and advantages: old_logprobs, mask, clip_low, clip_high, dual_clip,
    mirror_beta.
    """
    reports_clipping: bool = False
    """Returns where a bound was active too."""
    needs_reference: bool = False
    """Compares with the log-probs of the model that the stage started from."""
    aggregation: Aggregation | None = None
    """How token losses become one number unless the recipe says otherwise; None: as the advantage has it."""

    @property
    def has_bounds(self) -> bool:
        """Whether `clip_low` and `clip_high` mean something."""
        return "clip_low" in self.takes

    def load(self) -> Callable[..., Any]:
        return _load("losses", self.function)


def _load(package: str, function: str) -> Callable[..., Any]:
    module, _, name = function.partition(":")
    loaded: Callable[..., Any] = getattr(importlib.import_module(f"reasonrl.algorithms.{package}.{module}"), name)
    return loaded


_CLIPS = ("old_logprobs", "clip_low", "clip_high")

ADVANTAGES: dict[str, Advantage] = {
    "grpo": Advantage("grpo:grpo_advantages", "group", divides_by="group_std", tree_term=True),
    "dr_grpo": Advantage("dr_grpo:dr_grpo_advantages", "group", tree_term=True, aggregation="sequence_sum"),
    "rloo": Advantage("rloo:rloo_advantages", "group", tree_term=True),
    "reinforce_pp": Advantage("reinforce_pp:reinforce_pp_advantages", "batch", needs=("lengths",)),
    "reinforce_pp_baseline": Advantage("reinforce_pp:reinforce_pp_baseline_advantages", "group", needs=("lengths",)),
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
        "shrinkage:shrinkage_advantages", "prediction", needs=("predictions",), tree_term=True, needs_drawn_rows=True
    ),
    "dcpo": Advantage(
        "dcpo:remembered_advantages",
        "history",
        needs=("problem_id", "moments"),
        needs_drawn_rows=True,
        learns_from_equal_rewards=True,
    ),
}

LOSSES: dict[str, Loss] = {
    "ppo_clip": Loss("ppo_clip:ppo_clip_loss", "token", takes=(*_CLIPS, "dual_clip"), reports_clipping=True),
    # The ratio is the response's, the advantage each token's own: credit of single tokens is kept.
    "gspo": Loss("gspo:gspo_loss", "token", (*_CLIPS, "mask"), reports_clipping=True, aggregation="sequence_mean"),
    "cispo": Loss("cispo:cispo_loss", "token", takes=_CLIPS, reports_clipping=True),
    "geometric_mean": Loss(
        "geometric_mean:geometric_mean_loss",
        "sequence",
        takes=(*_CLIPS, "mask"),
        reports_clipping=True,
        aggregation="sequence_mean",
    ),
    "reinforce": Loss("reinforce:reinforce_loss", "token"),
    "mirror_descent": Loss("mirror_descent:mirror_descent_loss", "token", takes=("old_logprobs", "mirror_beta")),
    "dcpo_clip": Loss("dcpo_bounds:dcpo_clip_loss", "token", takes=("old_logprobs",), reports_clipping=True),
    "disco": Loss("disco:disco_row_loss", "group", aggregation="sequence_mean"),
    "drpo": Loss("drpo:drpo_row_loss", "group", aggregation="sequence_mean"),
    "trpa": Loss("trpa:trpa_row_loss", "group", needs_reference=True, aggregation="sequence_mean"),
}

DEFAULT_ADVANTAGE = "grpo"
DEFAULT_LOSS = "ppo_clip"
ROW_WEIGHT_LOSS = "reinforce"
"""The plain policy gradient. A loss of level "group" reaches the tokens through it, as a weight of each row."""
