"""Episodes and the trajectories that they leave behind.

Tokens are never turned into text and back: what the model was given and what it wrote are kept as ids, so the log-probs
that the trainer computes belong to exactly the tokens that were sampled.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Protocol

from critics.types import CriticEpisode
from reasonrl.engines.base import RoleEngines
from verifiers.types import Problem, Verdict


@dataclass(frozen=True)
class Turn:
    """One turn of a trajectory: `response_ids[start:stop]`."""

    role: str
    """Who speaks: the trajectory's role, or the role of the environment's message (user, tool, ...)."""
    start: int
    stop: int
    text: str
    by_policy: bool
    """Whether the policy wrote it, so that its tokens carry loss."""


@dataclass(frozen=True)
class Trajectory:
    """One prompt and the tokens after it, written by the policy (loss_mask True) or by the environment (False)."""

    role: str
    prompt_ids: list[int]
    response_ids: list[int]
    loss_mask: list[bool]
    logprobs: list[float]
    """Log-prob of each response token when it was sampled; 0 for tokens of the environment."""
    text: str
    """The response as verifiers read it; of several turns, the policy's last."""
    finish_reason: str
    """stop or length."""
    turns: tuple[Turn, ...] = ()
    """In order. Empty: the response is one turn of the policy."""

    @property
    def policy_tokens(self) -> int:
        """How many tokens the policy wrote, whether they carry loss or not."""
        if self.turns:
            return sum(turn.stop - turn.start for turn in self.turns if turn.by_policy)
        return sum(self.loss_mask)

    @property
    def policy_turns(self) -> int:
        """How many turns the policy took."""
        return sum(turn.by_policy for turn in self.turns) if self.turns else 1

    def __post_init__(self) -> None:
        if not len(self.response_ids) == len(self.loss_mask) == len(self.logprobs):
            raise ValueError(
                f"a trajectory needs one mask and one log-prob for each token, not {len(self.response_ids)} tokens, "
                f"{len(self.loss_mask)} masks, {len(self.logprobs)} log-probs"
            )


@dataclass(frozen=True)
class CallRecord:
    """One call of a tool."""

    tool: str
    """The name as the policy wrote it; empty for a call that could not be read."""
    status: str
    """ok, error, timeout, broken; or why it was not executed: malformed, unknown_tool, wrong_arguments, surplus."""
    turn: int
    """0-based number of the policy's turn that asked for it."""
    reason: str = ""
    """Why it could not be read."""
    seconds: float = 0.0

    @property
    def was_executed(self) -> bool:
        return self.status in ("ok", "error", "timeout", "broken")

    @property
    def was_refused(self) -> bool:
        """Whether it could be read, and was not executed."""
        return self.status in ("unknown_tool", "wrong_arguments", "surplus")

    @property
    def is_invalid(self) -> bool:
        """Whether nothing could be executed, through a mistake of the policy's."""
        return self.status in ("malformed", "unknown_tool", "wrong_arguments")


@dataclass(frozen=True)
class ToolEpisode:
    """What happened between a policy and its tools."""

    ended: str
    """answered, void, length, turns, budget, malformed, refused or broken (`reasonrl.environments.tools.tool_use`)."""
    calls: tuple[CallRecord, ...] = ()

    @property
    def executed(self) -> int:
        """How many calls were executed."""
        return sum(call.was_executed for call in self.calls)


@dataclass(frozen=True)
class Review:
    """What the critiques of one response said (`reward: {NAME: {critic: MODEL}}`)."""

    accepted: int = 0
    """Critiques that call the response correct."""
    rejected: int = 0
    unread: int = 0
    """Critiques without a judgement that could be read."""
    score: float | None = None
    """From 0 to 1, the mean of those that were read; None without any."""
    text: str = ""
    """The first critique."""
    failure: str | None = None
    """Why there is none."""


@dataclass
class Episode:
    """One attempt at one problem."""

    problem: Problem
    rollout: int
    """0-based number of the attempt within its group."""
    seed: int
    trajectories: list[Trajectory]
    verdicts: dict[str, Verdict] = field(default_factory=dict)
    """By reward part. An environment that verifies on its way fills in what it knows; step 4 fills in the rest."""
    reward_parts: dict[str, float | None] = field(default_factory=dict)
    trained_index: int = -1
    """Which of the trajectories carries the loss: the last, unless other roles speak after the trained one."""
    critique: CriticEpisode | None = None
    """For a critic in training: its critique, and what the refinements made of it."""
    failure: str | None = None
    """Why a role besides the policy did not answer. The reward is unknown then, and the episode is masked."""
    refinement_failure: str | None = None
    """Why a wrong response could not be refined (Critique-GRPO)."""
    guiding_critique: str | None = None
    """The critique that a refinement followed (Critique-GRPO); None for what the policy drew unaided."""
    tool_use: ToolEpisode | None = None
    """For policies that call tools."""
    reviews: dict[str, Review] = field(default_factory=dict)
    """By reward part, what a critic in the reward said of the response."""
    sample_fields: dict[str, Any] = field(default_factory=dict)
    """Further columns for the episode's row in samples.jsonl; JSON values."""
    info: dict[str, Any] = field(default_factory=dict)
    """For environments of users: whatever their reward functions want to know."""

    @property
    def trained_trajectory(self) -> Trajectory:
        """The trajectory of the role that is trained."""
        return self.trajectories[self.trained_index]

    @property
    def off_policy(self) -> bool:
        """Whether the response was written with help: its tokens were not drawn from the policy's own distribution."""
        return self.guiding_critique is not None

    @property
    def text(self) -> str:
        """The response that the verifier judges."""
        return self.trained_trajectory.text


class Environment(Protocol):
    async def episode(self, problem: Problem, rollout: int, seed: int, engine: RoleEngines) -> Episode:
        """Play one episode. All randomness comes from `seed`."""
        ...
