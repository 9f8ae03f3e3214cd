"""Is the run learning anything, and if not, why?

A GRPO run whose groups are all solved, all failed, all cut off or all unreadable has loss 0, looks alive, and learns
nothing. After a few such steps in a row the run says which of these it is and what to change.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from reasonrl.algorithms.groups import GroupMix
from reasonrl.environments.base import Episode
from reasonrl.errors import TrainingError
from reasonrl.recipe.monitoring import HealthSpec
from verifiers.response import is_unfinished_thought
from verifiers.types import Status

WATCHED = 10
"""Steps over which the share of unjudged rollouts is taken."""

UNJUDGED, NONE, FAILED, UNREAD = "unjudged:", "none:", "failed:", "unread:"
"""Before the name of a reward part, for rollouts that have no reward of this part."""
SAME = "same:"
"""Before `part=value`, for the rollouts of a step that all have this value of a part."""


def count_outcomes(episodes: Sequence[Episode], weights: Mapping[str, float] | None = None) -> Counter[str]:
    """How the rollouts of a step ended: truncated, unparsed, unfinished (within a thought), timeout and error are
    counted apart, since their cures differ.

    One verdict of several that could not be given, that of a refinement say, leaves the rollout unjudged. Rewards that
    are None are counted for each part: `unjudged:fmt` where a verifier gave no verdict, `none:mine` where a function
    returned None, `failed:process` where the server of a critic did not answer (the rollout is unjudged then), and
    `unread:process` where no critique could be read. `same:mine=1` counts the rollouts of a step in which this part
    is 1 everywhere. `weights` are those of the parts of the reward: without a critic of weight 0 a rollout is judged.
    """
    counts: Counter[str] = Counter(total=len(episodes))
    for episode in episodes:
        verdict = episode.verdicts["correctness"]
        counts["truncated"] += episode.trained_trajectory.finish_reason == "length"
        counts["unparsed"] += verdict.status is Status.UNPARSED
        counts["unfinished"] += verdict.correct is not True and is_unfinished_thought(episode.text)
        every = episode.verdicts.values()
        failed = [
            part
            for part, review in episode.reviews.items()
            if review.failure is not None and (weights is None or weights.get(part, 0.0))
        ]
        missing = bool(failed) or any(other.correct is None for other in every)
        counts["judged"] += not missing
        counts["correct"] += verdict.correct is True and not missing
        counts["unjudged"] += missing
        for status in (Status.TIMEOUT, Status.ERROR):
            counts[status.value] += any(other.status is status for other in every)
        counts["unanswered"] += bool(failed)
        for part, value in episode.reward_parts.items():
            if value is None:
                counts[_why_missing(episode, part) + part] += 1
    for part in episodes[0].reward_parts if episodes else ():
        values = {episode.reward_parts.get(part) for episode in episodes}
        if len(values) == 1 and (value := values.pop()) is not None:
            counts[f"{SAME}{part}={value:g}"] = len(episodes)
    return counts


def _why_missing(episode: Episode, part: str) -> str:
    if part in episode.verdicts:
        return UNJUDGED
    if (review := episode.reviews.get(part)) is None:
        return NONE
    return UNREAD if review.failure is None else FAILED


class RunHealth:
    """Watches steps; `observe` returns a warning when one is due, and raises TrainingError where the recipe says to
    stop. `weights` are those of the parts of the reward.
    """

    def __init__(self, spec: HealthSpec, weights: Mapping[str, float] | None = None) -> None:
        self._spec, self._weights = spec, weights or {}
        self._silent_steps = 0
        self._outcomes: Counter[str] = Counter()
        self._unjudged: list[tuple[int, int]] = []
        """(unjudged, all) rollouts of the newest steps."""
        self._quiet_steps = 0
        """Steps until an alarm that persists is given again."""

    def observe(
        self, step: int, mix: GroupMix, outcomes: Counter[str], example_reason: str = "", *, learns: bool = False
    ) -> str | None:
        """`learns`: some advantage is not 0, though no group is mixed (a baseline from elsewhere)."""
        unjudged = outcomes["unjudged"]
        if outcomes["total"] and unjudged / outcomes["total"] > self._spec.max_unjudged_share:
            raise TrainingError(
                f"step {step}: {unjudged} of {outcomes['total']} rollouts could not be judged ({_how(outcomes)}"
                f"{': ' + example_reason if example_reason else ''}). A model can"
                " learn to write what cannot be judged. Look at the newest samples, and start a new run from the"
                " last checkpoint (model.path=RUN run_dir=ANOTHER_FOLDER) with a higher verifier.timeout_s or"
                " health.max_unjudged_share"
            )
        alarm = self._alarm(unjudged, outcomes, example_reason)
        if mix.mixed or learns:
            self._silent_steps, self._outcomes = 0, Counter()
            return alarm
        self._silent_steps += 1
        self._outcomes += outcomes
        message = f"no signal for {self._silent_steps} steps: {explain_silence(self._outcomes, mix, self._weights)}"
        stop = self._spec.stop_after_steps_without_signal
        if stop is not None and self._silent_steps >= stop:
            raise TrainingError(f"step {step}: stopped. {message}")
        due = self._silent_steps % self._spec.warn_after_steps_without_signal == 0
        return ". ".join(words for words in (message if due else None, alarm) if words) or None

    def _alarm(self, unjudged: int, outcomes: Counter[str], reason: str) -> str | None:
        """What times out or breaks is masked, not punished: a share that grows is a policy that learns to write such
        things.
        """
        self._unjudged = [*self._unjudged, (unjudged, outcomes["total"])][-WATCHED:]
        self._quiet_steps = max(0, self._quiet_steps - 1)
        share = sum(part for part, _ in self._unjudged) / max(1, sum(total for _, total in self._unjudged))
        if share <= self._spec.warn_unjudged_share or self._quiet_steps:
            return None
        self._quiet_steps = WATCHED
        watched = len(self._unjudged)
        return (
            f"{share:.1%} of the rollouts of the last {watched} step{'s' if watched > 1 else ''} could not be judged"
            f" (in this one {_how(outcomes)}{': ' + reason if reason else ''}). They are masked, so a model can learn"
            " to write what cannot be judged. Look at the newest samples"
        )

    def state_dict(self) -> dict[str, Any]:
        return {
            "silent_steps": self._silent_steps,
            "outcomes": dict(self._outcomes),
            "unjudged": self._unjudged,
            "quiet_steps": self._quiet_steps,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._silent_steps = state["silent_steps"]
        self._outcomes = Counter(state["outcomes"])
        self._unjudged = [(part, total) for part, total in state["unjudged"]]
        self._quiet_steps = state["quiet_steps"]


def _how(outcomes: Counter[str]) -> str:
    """How judging went wrong."""
    words = f"{outcomes['timeout']} timed out, {outcomes['error']} broke"
    unanswered = outcomes["unanswered"]
    return f"{words}, {unanswered} had no critique from the critic's server" if unanswered else words


def explain_silence(outcomes: Counter[str], mix: GroupMix, weights: Mapping[str, float] | None = None) -> str:
    """Why every group has equal rewards, and the one change that helps most. `weights` are those of the parts of the
    reward; a part with the weight 0 is not the reason.
    """
    total = max(1, outcomes["total"])

    def share(key: str) -> float:
        return outcomes[key] / total

    missing = [key for key in outcomes if key.startswith((UNJUDGED, NONE, FAILED, UNREAD)) and share(key) > 0.5]
    if missing and mix.unjudged == mix.total:  # a part with the weight 0 may be None and masks nothing
        worst = max(missing, key=share)
        return explain_missing(worst, share(worst))
    if constant := _constant_parts(outcomes, weights or {}):
        return (
            f"{constant} for every rollout, whether its answer is right or wrong. Return a value that depends on the"
            " response"
        )
    if share("correct") > 0.9:
        return (
            "nearly every rollout is correct, so there is nothing left to learn here. Use harder problems in data.train"
        )
    if share("unjudged") > 0.5:
        return "most rollouts could not be judged. Read the verdicts in samples.jsonl, and raise verifier.timeout_s"
    if share("unfinished") > 0.5:
        return explain_unfinished(share("unfinished"), cut_off=share("truncated") > 0.5)
    if share("truncated") > 0.5:
        return (
            f"{share('truncated'):.0%} of the responses are cut off before they end. Raise rollout.max_new_tokens, or"
            " set rollout.stop"
        )
    if share("unparsed") > 0.5:
        return (
            f"no answer can be read in {share('unparsed'):.0%} of the responses. Ask for the format in data.prompt, add"
            " few-shot examples, or choose another verifier mode"
        )
    if mix.all_wrong == mix.total:
        return (
            "every rollout of every group is wrong. Use easier problems, raise rollout.rollouts_per_prompt, or start"
            " with a supervised stage (kind: sft)"
        )
    return "in every group all rollouts get the same reward. Raise rollout.rollouts_per_prompt or rollout.temperature"


def explain_unfinished(share: float, *, cut_off: bool) -> str:
    """Why nothing was read in responses that end within a thought."""
    if cut_off:
        return (
            f"{share:.0%} of the responses end within a thought, so no answer is read in them: they are cut off there."
            " Raise rollout.max_new_tokens"
        )
    return (
        f"{share:.0%} of the responses end within a thought, so no answer is read in them: the model ends its response"
        " without the tag that closes the thought. Start with a supervised stage that teaches it (kind: sft), or take a"
        " prompt that opens no thought"
    )


def _constant_parts(outcomes: Counter[str], weights: Mapping[str, float]) -> str:
    """The parts that make up the reward where none of them tells one rollout from another; empty where one does, and
    where correctness counts, whose reasons are others.
    """
    weighted = [part for part, weight in weights.items() if weight]
    if not weighted or "correctness" in weighted:
        return ""
    values = dict(
        key.removeprefix(SAME).rsplit("=", 1)
        for key, count in outcomes.items()
        if key.startswith(SAME) and count == outcomes["total"]
    )
    if not all(part in values for part in weighted):
        return ""
    return " and ".join(f"reward.{part} is {values[part]}" for part in weighted)


def explain_missing(key: str, share: float) -> str:
    """Why no group has a reward: `key` of the outcomes names the part that is None, for this share of the rollouts."""
    which = "every rollout" if share == 1 else f"{share:.0%} of the rollouts"
    if key.startswith(NONE):
        return (
            f"reward.{key.removeprefix(NONE)} returned None for {which}, and None masks a rollout. Return a number for"
            " each response that can be judged"
        )
    if key.startswith(FAILED):
        return (
            f"reward.{key.removeprefix(FAILED)}: the server of the critic did not answer for {which}, which masks them."
            " samples.jsonl says why (reviews, failure)"
        )
    if key.startswith(UNREAD):
        part = key.removeprefix(UNREAD)
        return (
            f"reward.{part}: no critique of {which} could be read, and critic.unread: mask leaves them out. Look at the"
            f" critiques in samples.jsonl, and at reward.{part}.critic.format and max_new_tokens"
        )
    part = key.removeprefix(UNJUDGED)
    verifier = "verifier" if part == "correctness" else f"reward.{part}.verifier"
    return (
        f"reward.{part}: the verifier left {which} unjudged, which masks them. Read the verdicts in"
        f" samples.jsonl, and look at {verifier} (timeout_s, if it has one)"
    )
