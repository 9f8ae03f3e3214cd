"""All keys of one stage, typed. Whether they fit together is decided in `reasonrl.recipe.rules`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from reasonrl.algorithms.catalogue import ADVANTAGES, LOSSES, Aggregation
from reasonrl.recipe.backends import VerlSpec
from reasonrl.recipe.collecting import CollectSpec, GameSpec
from reasonrl.recipe.critics import CriticSpec, CritiqueGrpoSpec
from reasonrl.recipe.data import DataSpec
from reasonrl.recipe.fields import Spec
from reasonrl.recipe.kinds import KINDS
from reasonrl.recipe.methods import Budget, BudgetSpec, Curriculum, CurriculumSpec, RatesSpec
from reasonrl.recipe.model import ModelSpec
from reasonrl.recipe.monitoring import CheckpointSpec, EvalSpec, HealthSpec
from reasonrl.recipe.plain_values import check_name
from reasonrl.recipe.rewards import Reward, RewardSpec, Verifier, VerifierSpec
from reasonrl.recipe.rollout import RolloutSpec
from reasonrl.recipe.training import OfflineSpec, OptimSpec, SftSpec, TrainSpec


def run_name(name: str) -> str:
    check_name(name, "a run")
    return name


class StageSettings(Spec):
    """The keys of one stage.

    Counts carry their unit in the name: `prompts_per_step` times `rollouts_per_prompt` is the number of rollouts of one
    step.
    """

    may_be_blank = frozenset({"description"})

    name: Annotated[str, AfterValidator(run_name)]
    """This is the name of the run, or of the stage."""
    description: str = ""
    """Say here what the recipe is for; `reasonrl recipes ls` shows it for shipped recipes."""
    kind: Literal["rl", "sft", "offline", "collect", "game"] = "rl"
    """`rl` is reinforcement learning, `sft` supervised learning, and `offline` learning from stored responses with
    their rewards. `collect` samples solutions and judges them. `game` is self-play of a critic and a sneaky generator.
    """
    init_from: str | None = None
    """The stage starts from the weights of this earlier stage, named by its `name`, or from a model written as in
    `model.path`. Empty: it starts from the stage before it.
    """
    seed: int = 0
    """Everything that is random is seeded with this."""
    device: str = "auto"
    """The model runs on this torch device. `auto` takes a GPU where there is one, else the CPU."""
    threads: Annotated[int, Field(ge=1, le=1024)] | None = None
    """PyTorch uses this many CPU threads. Runs repeat bit for bit only with the same number. Empty: all cores."""
    model: ModelSpec = ModelSpec()
    """Choose the model that is trained."""
    data: DataSpec = DataSpec()
    """Choose the problems to train on and those to evaluate on."""
    verifier: Verifier = VerifierSpec(name="math")
    """Answers are judged by this verifier. A bare word is its name."""
    reward: dict[str, Reward] = {"correctness": RewardSpec()}
    """A reward is the weighted sum of these named parts. A bare number is the weight of a part."""
    rollout: RolloutSpec = RolloutSpec()
    """Rollouts are sampled with these settings."""
    train: TrainSpec = TrainSpec()
    """Stages of kind `rl` read their settings here."""
    optim: OptimSpec = OptimSpec()
    """Configure the optimiser here."""
    evaluation: EvalSpec = EvalSpec()
    """The held-out sets are evaluated with these settings."""
    checkpoint: CheckpointSpec = CheckpointSpec()
    """Choose what is saved, and how often."""
    health: HealthSpec = HealthSpec()
    """A run warns, and stops by itself, at these thresholds."""
    curriculum: Curriculum = CurriculumSpec()
    """The curriculum decides which problems come next. A bare word is its name."""
    budget: Budget = BudgetSpec()
    """The budget decides how many rollouts each prompt gets. A bare word is its name."""
    success_rates: RatesSpec = RatesSpec()
    """Curricula and budgets use estimates of each problem's success rate, which are configured here."""
    sft: SftSpec = SftSpec()
    """Stages of kind `sft` read their settings here."""
    critic: CriticSpec | None = None
    """Train a critic: each problem is a solution to judge, and `verifier` judges the refinements that follow a
    critique.
    """
    critique_grpo: CritiqueGrpoSpec | None = None
    """Train the policy on critique-guided refinements as well. Write `critique_grpo: {}` for the defaults."""
    collect: CollectSpec = CollectSpec()
    """Stages of kind `collect` read their settings here."""
    game: GameSpec = GameSpec()
    """Stages of kind `game` read their settings here."""
    offline: OfflineSpec = OfflineSpec()
    """Stages of kind `offline` read their settings here."""
    backend: Literal["local", "verl"] = "local"
    """Stages of kind `rl` run in this process (`local`) or on verl's workers (`verl`). All other kinds run in this
    process.
    """
    verl: VerlSpec = VerlSpec()
    """Describe the machines of `backend: verl` here."""

    @property
    def total_steps(self) -> int:
        """Steps of the stage; 1 where it does not train."""
        facts = KINDS[self.kind]
        return int(getattr(self, facts.settings).steps) if facts.trains else 1

    @property
    def loss_aggregation(self) -> Aggregation:
        """The recipe's setting, else the default of the loss, else that of the advantage."""
        return (
            self.train.loss_aggregation
            or LOSSES[self.train.loss].aggregation
            or ADVANTAGES[self.train.advantage].aggregation
        )

    @property
    def rate_source(self) -> Literal["history", "value", "blend"]:
        wants_predictions = self.curriculum.name == "pcl" or "predictions" in ADVANTAGES[self.train.advantage].needs
        return self.success_rates.source or ("blend" if wants_predictions else "history")

    @property
    def on_policy(self) -> bool:
        """One optimiser step for each batch of rollouts: the old log-probs are the current ones, so no pass is spent on
        them.
        """
        return self.train.updates_per_step == 1 and self.train.epochs_per_step == 1
