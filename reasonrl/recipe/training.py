"""The part of a recipe that moves weights: the objective of each kind of stage that trains, and the optimiser."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from reasonrl.algorithms.catalogue import ADVANTAGES, DEFAULT_ADVANTAGE, DEFAULT_LOSS, LOSSES, Aggregation
from reasonrl.recipe.fields import Count, CountOrZero, Decay, NotNegative, OneOf, Positive, Rows, Spec
from reasonrl.recipe.methods import D3SSpec, Mismatch, MismatchSpec, OverlongSpec, UnlikelinessSpec
from reasonrl.recipe.mistakes import Mistake, MistakesError


class KlSpec(Spec):
    """A penalty for leaving the reference, which is the model that the stage started from."""

    coefficient: NotNegative = 0.0
    """The penalty has this weight; 0 switches it off."""
    estimator: Literal["k1", "k2", "k3"] = "k3"
    """The KL divergence is estimated from sampled tokens. `k1` is unbiased, `k2` is half the squared log-ratio, `k3` is
    unbiased and never negative.
    """
    where: Literal["loss", "reward"] = "loss"
    """The penalty is a term of the `loss`, or is subtracted from the `reward`."""

    @model_validator(mode="after")
    def _has_a_gradient(self) -> KlSpec:
        if self.estimator == "k1" and self.where == "loss":
            text = "estimator k1 in the loss has no gradient on policy. Write where: reward, or estimator: k2 or k3"
            raise MistakesError([Mistake((), text, (("estimator",), ("where",)))])
        return self

    @property
    def in_reward(self) -> bool:
        """Whether the penalty is taken off the reward."""
        return self.where == "reward" and self.coefficient > 0


class RefillSpec(Spec):
    """Draw new prompts until enough groups carry signal: DAPO's dynamic sampling (arXiv:2503.14476, section 3.2)."""

    enabled: bool = False
    """New prompts are drawn for groups without signal, and such groups are dropped."""
    max_rounds: Count = 3
    """A step has at most this many further rounds of rollouts, after the first."""


class TrainSpec(Spec):
    """Reinforcement learning: stages of kind `rl`."""

    steps: Count = 100
    """The stage has this many steps. Each collects new rollouts."""
    prompts_per_step: Rows = 16
    """Each step samples this many problems."""
    updates_per_step: Count = 1
    """The rollouts of a step are cut into this many optimiser updates (mini-batches of whole groups). More than one is
    off-policy: see `clip_low` and `clip_high`.
    """
    epochs_per_step: Annotated[int, Field(ge=1, le=1024)] = 1
    """The rollouts of a step are learned from this many times (PPO epochs; TRL's `num_iterations`)."""
    advantage: Annotated[str, OneOf(ADVANTAGES, or_dotted=True), AfterValidator(ADVANTAGES.check)] = DEFAULT_ADVANTAGE
    """The advantage decides what a rollout's reward is compared with, and how the difference is scaled. Each built-in
    estimator is a file of `reasonrl/algorithms/advantages` with its formula and its source.
    """
    credit: Literal["none", "tempo"] = "none"
    """`none` gives all tokens their rollout's advantage. `tempo` assigns credit to single tokens, from the prefix tree
    of a group.
    """
    unlikeliness: UnlikelinessSpec | None = None
    """Correct responses that are less likely earn more. Write `{beta: 0.25}`, and use it with `drop_silent_groups` or
    `refill`.
    """
    overlong: OverlongSpec | None = None
    """Long responses lose reward before they are cut off. Write `{buffer_tokens: 64}`."""
    drop_silent_groups: bool = False
    """Silent groups, whose raw rewards are all equal (zero-variance groups), are not part of the batch or of its
    denominators. `refill` implies it.
    """
    clip_advantages: Positive | None = None
    """Advantages are clipped to the range from minus this to this. Empty: they are not clipped."""
    d3s: D3SSpec | None = None
    """Learn only from the rows and tokens that matter most. Write `d3s: {}` for the defaults."""
    loss: Annotated[str, OneOf(LOSSES, or_dotted=True), AfterValidator(LOSSES.check)] = DEFAULT_LOSS
    """The policy is updated with this loss. Each built-in loss is a file of `reasonrl/algorithms/losses` with its
    formula and its source.
    """
    loss_aggregation: Aggregation | None = None
    """The losses of tokens are combined into one number. `token_mean` is the mean over all tokens. `sequence_mean` is
    the mean of each response, then over responses. `sequence_sum` is the sum over all tokens, divided by rows times
    `max_new_tokens`. Empty: `sequence_mean` with the losses gspo, geometric_mean, disco, drpo and trpa, else
    `sequence_sum` with the advantage dr_grpo, else `token_mean` (as in DAPO; the GRPO paper has `sequence_mean`).
    """
    clip_low: Positive | None = None
    """The probability ratio is clipped to at least 1 - clip_low. Empty: the loss's own bound (0.2 for PPO's)."""
    clip_high: Positive | None = None
    """The probability ratio is clipped to at most 1 + clip_high. Empty: the loss's own bound (0.2 for PPO's)."""
    mirror_beta: Positive = 0.1
    """The squared log-ratio has this weight, in losses that have one."""
    mismatch: Mismatch = MismatchSpec()
    """Rollouts that were drawn from other probabilities than the trainer computes are corrected by this. A bare word is
    its name.
    """
    dual_clip: Annotated[float, Field(gt=1)] | None = None
    """Where the advantage is negative, the loss is at most this times -advantage (dual-clip PPO, arXiv:1912.09729).
    Empty: it has no such bound.
    """
    kl: KlSpec = KlSpec()
    """The policy is penalised for leaving the reference, which is the model that the stage started from."""
    entropy_coefficient: NotNegative = 0.0
    """An entropy bonus has this weight in the loss. It keeps the policy from settling on answers too early (0.001 to
    0.03).
    """
    refill: RefillSpec = RefillSpec()
    """New prompts are drawn until enough groups carry signal."""
    mask_truncated: bool = False
    """Responses that were cut off by a token limit are left out of the baseline and the loss."""
    on_timeout: Literal["mask", "wrong"] = "mask"
    """A response whose verifier timed out is left out (`mask`), or counts as incorrect (`wrong`)."""
    skip_silent_groups: bool = True
    """Groups whose advantages are all zero cost no forward or backward pass. Set it to false only for measurements."""
    positions_per_micro_batch: Count = 512
    """At most this many token positions are in memory at once during the update (tokens per micro-batch); a prompt with
    its response that has more is a micro-batch by itself. The result does not depend on it.
    """
    packing: Literal["tree", "rows"] = "tree"
    """`tree` computes tokens that rows share at their beginning once. `rows` computes each row by itself."""

    @property
    def drops_silent_groups(self) -> bool:
        return self.drop_silent_groups or self.refill.enabled


class SftSpec(Spec):
    """Supervised learning from gold responses: stages of kind `sft`."""

    steps: Count = 100
    """The stage has this many steps."""
    rows_per_step: Rows = 32
    """Each step learns from this many responses."""
    response: str = "{gold}"
    """The model learns to write this text. `{gold}` is the verifier's gold response, and `{demonstration}` the text of
    that name in the reference. An end-of-sequence token follows unless the text ends in one of `rollout.stop`.
    """


class OfflineSpec(Spec):
    """Learning from rows that hold a response and what it earned: stages of kind `offline`."""

    steps: Count = 100
    """The stage has this many steps."""
    rows_per_step: Rows = 64
    """Each step learns from this many rows."""
    clip: Positive = 0.2
    """A response's probability ratio is clipped to the range from 1 - clip to 1 + clip."""
    sft_weight: NotNegative = 0.15
    """The supervised loss on demonstrations of `data.replay` has this weight."""
    replay_rows_per_step: Rows = 16
    """Each step learns from this many demonstrations of `data.replay`."""


class OptimSpec(Spec):
    """The optimiser, AdamW."""

    lr: Positive = 1e-6
    """Weights are updated with this learning rate."""
    warmup_steps: CountOrZero = 0
    """The learning rate rises linearly over this many steps."""
    schedule: Literal["constant", "linear", "cosine"] = "constant"
    """The learning rate follows this curve after the warm-up. `linear` and `cosine` end at 0 with the last step."""
    weight_decay: NotNegative = 0.0
    """This much decoupled weight decay is applied."""
    betas: tuple[Decay, Decay] = (0.9, 0.999)
    """These are the decay rates of the first and the second moment."""
    eps: Annotated[float, Field(gt=0, le=1)] = 1e-8
    """This constant is added to the root of the second moment."""
    max_grad_norm: Positive | None = 1.0
    """Gradients are scaled down to this norm. Empty: they are not."""
