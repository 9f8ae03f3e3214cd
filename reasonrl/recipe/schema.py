"""The typed recipe: one YAML file that says everything about a run.

`recipe_files` reads the file, lays `key=value` overrides over it, and reports every mistake at once: where, what was
expected, the nearest valid name. A recipe of several stages lists them under `stages:`; each stage is the rest of the
file under its own keys.

Counts carry their unit in the name: `prompts_per_step` times `rollouts_per_prompt` is the number of rollouts of one
step.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from reasonrl.recipe.backends import RolloutSpec, VerlSpec, VllmSpec
from reasonrl.recipe.critics import (
    CollectSpec,
    CriticSpec,
    CritiqueGrpoSpec,
    GameSpec,
    OfflineSpec,
)
from reasonrl.recipe.data import DataSpec
from reasonrl.recipe.fields import Count, Positive, Share, Spec, named
from reasonrl.recipe.methods import (
    CREDITED,
    GROUP_LOSSES,
    SEQUENCE_LOSSES,
    Budget,
    BudgetSpec,
    Curriculum,
    CurriculumSpec,
    D3SSpec,
    Loss,
    Mismatch,
    MismatchSpec,
    OverlongSpec,
    RatesSpec,
    UnlikelinessSpec,
)


class LoraSpec(Spec):
    """Train low-rank adapters (arXiv:2106.09685) instead of all weights; exported checkpoints are merged."""

    rank: Count = 16
    alpha: Count = 32
    dropout: Share = 0.0
    target_modules: list[str] | Literal["all-linear"] = "all-linear"


class ModelSpec(Spec):
    path: str = "smollm2-135m"
    """A Hugging Face id, a local folder, a run or a stage of one (its newest checkpoint), or an embedded model:
    smollm2-135m (pretrained), tiny-arithmetic and tiny-critic (random, for tests and small recipes).
    """
    dtype: Literal["float32", "bfloat16"] = "float32"
    """Of the computation. The weights that the optimiser updates are float32 either way."""
    attention: Literal["sdpa", "eager"] = "sdpa"
    lora: LoraSpec | None = None
    gradient_checkpointing: bool = False


class VerifierSpec(BaseModel):
    """`math`, `reasoning_gym`, `format`, or package.module:Class; all other keys are its options."""

    model_config = ConfigDict(extra="allow")
    name: str

    @property
    def options(self) -> dict[str, Any]:
        return dict(self.model_extra or {})


def _verifier(value: Any) -> Any:
    return {"name": "math", **value} if isinstance(value, dict) else named(value)


class RewardSpec(Spec):
    """One term of the reward. `correctness` uses the recipe's verifier; any other part names a verifier or a
    function.
    """

    weight: float = 1.0
    verifier: Annotated[VerifierSpec | None, BeforeValidator(named)] = None
    function: str | None = None
    """package.module:function(responses, problems) -> list of numbers or None (not judged)."""


def _weighted(value: Any) -> Any:
    return {"weight": value} if isinstance(value, int | float) and not isinstance(value, bool) else value


class KlSpec(Spec):
    """Penalty on leaving the reference (the model that this stage started from)."""

    coefficient: Annotated[float, Field(ge=0)] = 0.0
    estimator: Literal["k1", "k2", "k3"] = "k3"
    where: Literal["loss", "reward"] = "loss"

    @model_validator(mode="after")
    def _k1_is_no_loss(self) -> KlSpec:
        if self.estimator == "k1" and self.where == "loss":
            raise ValueError(
                "estimator k1 as a loss has no gradient on policy. Write where: reward, or estimator: k2 or k3"
            )
        return self


class RefillSpec(Spec):
    """DAPO's dynamic sampling (arXiv:2503.14476, section 3.2): draw new prompts until enough groups carry signal."""

    enabled: bool = False
    max_rounds: Count = 3


class TrainSpec(Spec):
    steps: Count = 100
    prompts_per_step: Count = 16
    updates_per_step: Count = 1
    """Optimiser steps that the rollouts of one step are cut into (whole groups). More than one is off-policy: see
    clip_low, clip_high.
    """
    epochs_per_step: Count = 1
    advantage: str = "grpo"
    """grpo, dr_grpo, rloo, lite_ppo, ...: one file each in reasonrl/algorithms/advantages."""
    credit: Literal["none", "tempo"] = "none"
    """tempo: what single tokens are credited with, from the prefix tree of a group."""
    unlikeliness: UnlikelinessSpec | None = None
    """Right answers that are less likely earn more. Write {beta: 0.25}; use it with drop_silent_groups or refill."""
    overlong: OverlongSpec | None = None
    drop_silent_groups: bool = False
    """Groups whose raw rewards are all equal are no part of the batch, nor of its denominators. `refill` does this too.
    """
    clip_advantages: Positive | None = None
    d3s: D3SSpec | None = None
    loss: Loss = "ppo_clip"
    loss_aggregation: Literal["token_mean", "sequence_mean", "sequence_sum"] | None = None
    """Empty: what belongs to the method (token_mean; sequence_sum for dr_grpo; sequence_mean for losses over
    sequences).
    """
    clip_low: Positive | None = None
    """Empty: what belongs to the loss (0.2 for PPO's clip)."""
    clip_high: Positive | None = None
    mirror_beta: Positive = 0.1
    """mirror_descent: weight of the squared log-ratio."""
    mismatch: Mismatch = MismatchSpec()
    dual_clip: Annotated[float, Field(gt=1)] | None = None
    kl: KlSpec = KlSpec()
    entropy_coefficient: Annotated[float, Field(ge=0)] = 0.0
    """Bonus for the entropy of the policy, in the loss: keeps it exploring when it would settle on answers too early
    (0.001 to 0.03).
    """
    refill: RefillSpec = RefillSpec()
    mask_truncated: bool = False
    """Leave responses that were cut off by max_new_tokens out of baseline and loss."""
    on_timeout: Literal["mask", "wrong"] = "mask"
    skip_silent_groups: bool = True
    """Groups whose advantages are all zero cost no forward or backward pass. False is for measuring."""
    positions_per_micro_batch: Count = 512
    """Most token positions that are in memory at once during the update. The result does not depend on it."""
    packing: Literal["tree", "rows"] = "tree"

    @property
    def drops_silent_groups(self) -> bool:
        return self.drop_silent_groups or self.refill.enabled


class OptimSpec(Spec):
    lr: Positive = 1e-6
    warmup_steps: Annotated[int, Field(ge=0)] = 0
    schedule: Literal["constant", "linear", "cosine"] = "constant"
    """After the warm-up; linear and cosine end at 0 with the last step."""
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    betas: tuple[Share, Share] = (0.9, 0.999)
    eps: Positive = 1e-8
    max_grad_norm: Positive | None = 1.0


class SftSpec(Spec):
    """A supervised phase on gold responses."""

    steps: Count = 100
    rows_per_step: Count = 32
    response: str = "{gold}"
    """What the model is taught to write: {gold} is the verifier's gold response, {demonstration} the text of that name
    in the reference. End-of-sequence follows unless it ends in a stop.
    """


class EvalSpec(Spec):
    every_steps: Count | None = None
    """Empty: only before and after."""
    before: bool = True
    greedy: bool = True
    samples_per_problem: Annotated[int, Field(ge=0)] = 4
    """0 leaves the sampled evaluation out."""
    temperature: Positive | None = None
    """Of the samples; empty: rollout.temperature."""


class CheckpointSpec(Spec):
    every_steps: Count | None = None
    """Empty: only at the end."""
    keep_last: Count = 1
    keep_best: bool = True
    """Also keep the weights with the best held-out accuracy."""


class HealthSpec(Spec):
    warn_after_steps_without_signal: Count = 3
    stop_after_steps_without_signal: Count | None = None
    warn_unjudged_share: Share = 0.05
    """More rollouts than this that time out or break, over the last ten steps, are an alarm."""
    max_unjudged_share: Share = 0.5
    """More rollouts than this that time out or break stop the run: a model can learn to write what cannot be judged."""


class Recipe(Spec):
    """One stage of a run, complete."""

    name: str
    description: str = ""
    kind: Literal["rl", "sft", "offline", "collect", "game"] = "rl"
    init_from: str | None = None
    """A stage before this one, by its name, or a model as in model.path; empty: the stage before."""
    seed: int = 0
    backend: Literal["local", "verl"] = "local"
    """Where stages of kind rl run: in this process, or on verl's workers. The other kinds run in this process either
    way.
    """
    verl: VerlSpec = VerlSpec()
    device: str = "auto"
    threads: Count | None = None
    """CPU threads; empty: all cores. Runs repeat bit for bit with the same number."""
    model: ModelSpec = ModelSpec()
    data: DataSpec = DataSpec()
    verifier: Annotated[VerifierSpec, BeforeValidator(_verifier)] = VerifierSpec(name="math")
    critic: CriticSpec | None = None
    """Train a critic: problems are solutions to judge, and `verifier` judges their refinements."""
    collect: CollectSpec = CollectSpec()
    game: GameSpec = GameSpec()
    offline: OfflineSpec = OfflineSpec()
    critique_grpo: CritiqueGrpoSpec | None = None
    """Train the policy on critique-guided refinements too."""
    reward: dict[str, Annotated[RewardSpec, BeforeValidator(_weighted)]] = {"correctness": RewardSpec()}
    curriculum: Curriculum = CurriculumSpec()
    budget: Budget = BudgetSpec()
    success_rates: RatesSpec = RatesSpec()
    rollout: RolloutSpec = RolloutSpec()
    train: TrainSpec = TrainSpec()
    sft: SftSpec = SftSpec()
    optim: OptimSpec = OptimSpec()
    evaluation: EvalSpec = EvalSpec()
    checkpoint: CheckpointSpec = CheckpointSpec()
    health: HealthSpec = HealthSpec()

    @model_validator(mode="after")
    def _parts_fit_together(self) -> Recipe:
        problems = []
        if not self.data.train_sources:
            problems.append(
                "data.train: missing; write where the problems come from, e.g. train: {source: problems.jsonl}"
            )
        for name, part in self.reward.items():
            given = [key for key in ("verifier", "function") if getattr(part, key)]
            if name == "correctness" and given:
                problems.append(
                    f"reward.correctness.{given[0]}: correctness is judged by the recipe's `verifier`; name this part"
                    " otherwise"
                )
            if name != "correctness" and len(given) != 1:
                problems.append(
                    f"reward.{name}: needs either a verifier or a function, has {' and '.join(given) or 'neither'}"
                )
        if "correctness" not in self.reward:
            problems.append(
                "reward.correctness: missing; the accuracy that is shown comes from it (a weight of 0 is allowed)"
            )
        if self.kind == "rl" and self.rollout.rollouts_per_prompt < 2:
            problems.append(
                "rollout.rollouts_per_prompt: 1 leaves nothing to compare a rollout with; write 2 or more (8 is usual)"
            )
        if self.train.updates_per_step > self.train.prompts_per_step:
            problems.append(
                f"train.updates_per_step: {self.train.updates_per_step} updates cannot be cut from"
                f" {self.train.prompts_per_step} groups"
            )
        if self.critic is not None and self.reward["correctness"].weight != 1.0:
            problems.append(
                "reward.correctness: of a critic, what the judgement is worth is said in the section critic; leave"
                " this out"
            )
        problems += self._methods_that_do_not_fit() + self._refinements_that_do_not_fit()
        if problems:
            raise ValueError("\n".join(problems))
        return self

    def _methods_that_do_not_fit(self) -> list[str]:
        train, budget, problems = self.train, self.budget, []
        if train.credit == "tempo" and train.loss in SEQUENCE_LOSSES:
            problems.append(
                f"train.loss: {train.loss} averages over a response, so the credit of single tokens (train.credit:"
                " tempo) would be lost; write ppo_clip, cispo or gspo, or credit: none"
            )
        if train.credit == "tempo" and train.advantage not in CREDITED:
            problems.append(
                f"train.credit: tempo adds to a group baseline, which advantage: {train.advantage} is not; use"
                f" {', '.join(CREDITED)}"
            )
        if (
            budget.name == "knapsack"
            and self.kind == "rl"
            and not budget.low <= self.rollout.rollouts_per_prompt <= budget.high
        ):
            problems.append(
                f"budget: the mean is rollout.rollouts_per_prompt ({self.rollout.rollouts_per_prompt}), which must lie"
                f" between budget.low ({budget.low}) and budget.high ({budget.high})"
            )
        if self.rate_source == "history" and train.advantage == "shrinkage":
            problems.append(
                "success_rates.source: the shrinkage baseline needs a prediction before the rollouts; write value or"
                " blend"
            )
        if train.overlong is not None and train.overlong.buffer_tokens > self.rollout.max_new_tokens:
            problems.append(
                f"train.overlong.buffer_tokens: {train.overlong.buffer_tokens} is more than rollout.max_new_tokens "
                f"({self.rollout.max_new_tokens}); even an empty response would be punished"
            )
        return problems + self._settings_without_effect()

    def _refinements_that_do_not_fit(self) -> list[str]:
        if self.critique_grpo is None:
            return []
        train, problems = self.train, []
        if self.critic is not None:
            problems.append("critique_grpo: trains the policy, and critic: a critic; a stage has one of them")
        if train.loss in GROUP_LOSSES or train.credit != "none":
            problems.append(
                "critique_grpo: its refinements are rows of a group baseline; take a loss over tokens, and credit: none"
            )
        if train.advantage in ("remax", "dcpo", "shrinkage", "gdpo", "passk"):
            problems.append(
                f"critique_grpo: advantage: {train.advantage} has no place for rows that nobody drew; write dr_grpo"
            )
        if train.kl.where == "reward" and train.kl.coefficient > 0:
            problems.append(
                "critique_grpo: a KL term in the reward needs the probability of what was drawn; write train.kl.where:"
                " loss"
            )
        if train.unlikeliness is not None or train.d3s is not None or train.mismatch.is_on:
            problems.append(
                "critique_grpo: unlikeliness, d3s and mismatch look at the probability of what was drawn; leave"
                " them out"
            )
        return problems

    def _settings_without_effect(self) -> list[str]:
        """A setting that is accepted and then ignored is the worst kind of bug."""
        train, problems = self.train, []
        kl_in_reward = train.kl.where == "reward" and train.kl.coefficient > 0
        shaping = {
            "train.unlikeliness": train.unlikeliness,
            "train.overlong": train.overlong,
            "train.kl.where: reward": kl_in_reward or None,
        }
        shaped = [key for key, value in shaping.items() if value is not None]
        blind = {
            "gdpo": "normalises the parts of the reward",
            "remax": "compares with the reward of the greedy response, which is not shaped",
        }
        if train.loss in GROUP_LOSSES:
            problems += [f"{key}: shapes the reward, which loss: {train.loss} does not look at" for key in shaped]
            for key, value in (("clip_advantages", train.clip_advantages), ("d3s", train.d3s)):
                if value is not None:
                    problems.append(f"train.{key}: works on advantages, which play no part with loss: {train.loss}")
        elif train.advantage in blind:
            problems += [
                f"{key}: shapes the reward as a whole, but advantage: {train.advantage} {blind[train.advantage]}"
                for key in shaped
            ]
        if train.loss in SEQUENCE_LOSSES and train.loss_aggregation not in (None, "sequence_mean"):
            problems.append(
                f"train.loss_aggregation: {train.loss} is one number a response, and {train.loss_aggregation} would"
                " weigh responses by their length; write sequence_mean, or leave it out"
            )
        if train.loss not in ("ppo_clip", "gspo", "cispo", "geometric_mean") and (train.clip_low or train.clip_high):
            problems.append(f"train.clip_low, train.clip_high: loss: {train.loss} has no such bounds; leave them out")
        if self.rollout.vllm != VllmSpec() and self.rollout.engine != "vllm":
            problems.append(
                f"rollout.vllm: the engine is {self.rollout.engine}; write rollout.engine: vllm, or leave this out"
            )
        if train.loss != "ppo_clip" and train.dual_clip is not None:
            problems.append(f"train.dual_clip: belongs to ppo_clip; loss: {train.loss} has none")
        return problems

    def warnings(self) -> list[str]:
        """What may be meant, but seldom is."""
        train, found = self.train, []
        if train.unlikeliness is not None and not train.drops_silent_groups:
            found.append(
                "train.unlikeliness without train.drop_silent_groups or refill: in a group that is solved throughout,"
                " ranks alone become advantages, and likely right answers are pushed down for nothing"
            )
        if train.advantage == "dcpo" and train.drops_silent_groups:
            found.append(
                "train.advantage: dcpo learns from groups whose rewards are all equal; drop_silent_groups and refill"
                " leave them out"
            )
        by_vllm = self.rollout.engine == "vllm" if self.backend == "local" else self.verl.platform == "gpu"
        if self.kind == "rl" and by_vllm and self.model.dtype == "bfloat16" and not train.mismatch.is_on:
            found.append(
                "vLLM computes bfloat16 in other kernels than the trainer, so the probabilities differ (see"
                " policy/rollout_gap); train.mismatch: tis corrects for it"
            )
        if train.loss in GROUP_LOSSES and (train.credit != "none" or train.advantage != "grpo"):
            found.append(
                f"train.advantage plays no part with loss: {train.loss}, which compares right and wrong responses"
                " itself"
            )
        return found

    @property
    def total_steps(self) -> int:
        return {"rl": self.train.steps, "sft": self.sft.steps, "offline": self.offline.steps}.get(self.kind, 1)

    @property
    def loss_aggregation(self) -> Literal["token_mean", "sequence_mean", "sequence_sum"]:
        if self.train.loss_aggregation is not None:
            return self.train.loss_aggregation
        if self.train.loss in (*SEQUENCE_LOSSES, "gspo"):
            return "sequence_mean"
        return "sequence_sum" if self.train.advantage == "dr_grpo" else "token_mean"

    @property
    def rate_source(self) -> Literal["history", "value", "blend"]:
        wants_predictions = self.curriculum.name == "pcl" or self.train.advantage == "shrinkage"
        return self.success_rates.source or ("blend" if wants_predictions else "history")

    @property
    def on_policy(self) -> bool:
        """One optimiser step for each batch of rollouts: the old log-probs are the current ones, so no pass is spent on
        them.
        """
        return self.train.updates_per_step == 1 and self.train.epochs_per_step == 1
