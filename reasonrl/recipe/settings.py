"""All keys of one stage, typed. Whether they fit together is decided in `reasonrl.recipe.rules`."""

from __future__ import annotations

from typing import Literal

from reasonrl.algorithms.catalogue import ADVANTAGES, LOSSES, Aggregation
from reasonrl.recipe.backends import VerlSpec
from reasonrl.recipe.collecting import CollectSpec, GameSpec
from reasonrl.recipe.critics import CriticSpec, CritiqueGrpoSpec
from reasonrl.recipe.data import DataSpec
from reasonrl.recipe.fields import Count, Spec
from reasonrl.recipe.kinds import KINDS
from reasonrl.recipe.methods import Budget, BudgetSpec, Curriculum, CurriculumSpec, RatesSpec
from reasonrl.recipe.model import ModelSpec
from reasonrl.recipe.monitoring import CheckpointSpec, EvalSpec, HealthSpec
from reasonrl.recipe.rewards import Reward, RewardSpec, Verifier, VerifierSpec
from reasonrl.recipe.rollout import RolloutSpec
from reasonrl.recipe.training import OfflineSpec, OptimSpec, SftSpec, TrainSpec


class StageSettings(Spec):
    """The keys of one stage.

    Counts carry their unit in the name: `prompts_per_step` times `rollouts_per_prompt` is the number of rollouts of one
    step.
    """

    name: str
    """The name of the run, or of the stage."""
    description: str = ""
    """What the recipe is for."""
    kind: Literal["rl", "sft", "offline", "collect", "game"] = "rl"
    """`rl`: reinforcement learning. `sft`: supervised learning. `offline`: learning from rows with rewards. `collect`:
    sampling solutions and judging them. `game`: self-play of a critic and a sneaky generator.
    """
    init_from: str | None = None
    """A stage before this one, by its name, or a model as in `model.path`. Empty: the stage before."""
    seed: int = 0
    """The seed of everything that is random."""
    backend: Literal["local", "verl"] = "local"
    """Where stages of kind `rl` run: in this process, or on verl's workers. The other kinds run in this process either
    way.
    """
    verl: VerlSpec = VerlSpec()
    """The machines of `backend: verl`."""
    device: str = "auto"
    """The torch device. `auto`: a GPU where there is one, else the CPU."""
    threads: Count | None = None
    """The number of CPU threads. Runs repeat bit for bit with the same number. Empty: all cores."""
    model: ModelSpec = ModelSpec()
    """The model that is trained."""
    data: DataSpec = DataSpec()
    """The problems."""
    verifier: Verifier = VerifierSpec(name="math")
    """How answers are judged. A bare word is the verifier's name."""
    critic: CriticSpec | None = None
    """Train a critic: problems are solutions to judge, and `verifier` judges their refinements."""
    collect: CollectSpec = CollectSpec()
    """Settings of stages of kind `collect`."""
    game: GameSpec = GameSpec()
    """Settings of stages of kind `game`."""
    offline: OfflineSpec = OfflineSpec()
    """Settings of stages of kind `offline`."""
    critique_grpo: CritiqueGrpoSpec | None = None
    """Train the policy on critique-guided refinements too. Write `critique_grpo: {}` for the defaults."""
    reward: dict[str, Reward] = {"correctness": RewardSpec()}
    """The parts of the reward by name. A number is the weight of a part."""
    curriculum: Curriculum = CurriculumSpec()
    """Which problems come next. A bare word is the curriculum's name."""
    budget: Budget = BudgetSpec()
    """How many rollouts each prompt gets. A bare word is the budget's name."""
    success_rates: RatesSpec = RatesSpec()
    """How the success rate of a problem is estimated."""
    rollout: RolloutSpec = RolloutSpec()
    """How responses are generated."""
    train: TrainSpec = TrainSpec()
    """Settings of stages of kind `rl`."""
    sft: SftSpec = SftSpec()
    """Settings of stages of kind `sft`."""
    optim: OptimSpec = OptimSpec()
    """The optimiser."""
    evaluation: EvalSpec = EvalSpec()
    """Evaluation on the held-out sets."""
    checkpoint: CheckpointSpec = CheckpointSpec()
    """What is saved."""
    health: HealthSpec = HealthSpec()
    """When a run warns, and when it stops by itself."""

    @property
    def total_steps(self) -> int:
        """Steps of the stage; 1 where it does not train."""
        facts = KINDS[self.kind]
        return int(getattr(self, facts.settings).steps) if facts.trains else 1

    @property
    def loss_aggregation(self) -> Aggregation:
        """What the recipe says; else what belongs to the loss; else what belongs to the advantage."""
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
