"""Steps 3 and 4 of critic recipes: who plays, and what the critiques earn. The same for both backends, like
`reasonrl.update`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from critics import rewards
from critics.rewards import Helpfulness, LeakPenalty, Piecewise, Term, WeightedSum
from critics.types import CriticEpisode, Refinement
from critics.verifier import CritiqueVerifier
from reasonrl.environments.base import Episode
from reasonrl.errors import TrainingError
from reasonrl.recipe.critics import CriticSpec
from reasonrl.rewards.base import RewardPart
from verifiers.types import Status, Verdict, Verifier


def reward_term(spec: CriticSpec, step: int, own: Callable[[CriticEpisode], float | None] | None = None) -> Term:
    """What a critique earns at this step (from 1). `own` is the function of a dotted `reward`."""
    helpful = spec.helpfulness
    made: Term
    if own is not None:
        made = own
    elif spec.reward == "critique_rl":
        made = rewards.critique_rl(
            spec.stage, variant=spec.variant, beta=spec.judgement_weight, mode=helpful, when=spec.refine.when
        )
    elif spec.reward == "refcritic":
        made = rewards.refcritic(Piecewise(spec.refine_weight).at(step), when=spec.refine.when)
    elif spec.reward == "spc":
        made = rewards.spc_critic()
    else:
        made = {
            "ctrl": rewards.ctrl,
            "criticlean": rewards.criticlean,
            "crl": rewards.critique_coder,
            "deepcritic": rewards.deepcritic,
        }[spec.reward]()
    if spec.scale == 1.0 and not spec.leak_penalty:
        return made
    return WeightedSum([(spec.scale, made), (1.0 if spec.leak_penalty else 0.0, LeakPenalty(spec.leak_penalty))])


class CritiqueRewards:
    """The reward part "critic": judges the refinements of a whole step in one batch, then asks the term."""

    def __init__(
        self, spec: CriticSpec, oracle: Verifier, own: Callable[[CriticEpisode], float | None] | None = None
    ) -> None:
        self.spec, self.oracle, self.own = spec, oracle, own

    def __call__(self, episodes: Sequence[Episode], step: int) -> list[float | None]:
        critiques = [episode for episode in episodes if is_critique(episode) or not self.spec.policy_rows]
        self.judge_refinements(critiques)
        term = reward_term(self.spec, step, self.own)
        return [self._reward(episode, term) for episode in episodes]

    def _reward(self, episode: Episode, term: Term) -> float | None:
        if not is_critique(episode) and self.spec.policy_rows:
            return episode.verdicts["correctness"].score
        return None if "failure" in episode.info else term(critic_episode(episode))

    def judge_refinements(self, episodes: Sequence[Episode]) -> None:
        """Fill in `refinements` and a verdict "refined" for each episode that has any."""
        rows = [
            (e, t) for e in episodes for t in e.trajectories if t is not e.own and not critic_episode(e).refinements
        ]
        verdicts = self.oracle.verify([t.text for _, t in rows], [e.problem.reference for e, _ in rows])
        for (episode, trajectory), verdict in zip(rows, verdicts, strict=True):
            judged = critic_episode(episode)
            judged.refinements.append(
                Refinement(trajectory.text, verdict.extracted, verdict.correct, len(judged.refinements))
            )
            episode.verdicts["refined"] = verdict
        for episode in episodes:
            if "failure" in episode.info:
                # The judgement was read, but what the critique is worth is not known: the episode is masked, and
                # counted as an error.
                failed = Verdict(None, None, Status.ERROR, None, "actor", episode.info["failure"], 0.0)
                episode.verdicts["refined"] = failed


class CritiqueOrAnswer:
    """CRL's batches hold both: critiques are judged as such, all else by the recipe's verifier."""

    def __init__(self, critiques: CritiqueVerifier, answers: Verifier) -> None:
        self.critiques, self.answers = critiques, answers

    def verify(self, responses: Sequence[str], references: Sequence[dict[str, Any]]) -> list[Verdict]:
        made: list[Verdict | None] = [None] * len(responses)
        for verifier, wanted in ((self.critiques, True), (self.answers, False)):
            places = [i for i, reference in enumerate(references) if _of_critique(reference) == wanted]
            for i, verdict in zip(
                places, verifier.verify([responses[i] for i in places], [references[i] for i in places]), strict=True
            ):
                made[i] = verdict
        return [verdict for verdict in made if verdict is not None]

    def gold_response(self, reference: dict[str, Any]) -> str:
        return (self.critiques if _of_critique(reference) else self.answers).gold_response(reference)


def _of_critique(reference: dict[str, Any]) -> bool:
    return "solution" in reference or "steps" in reference


def is_critique(episode: Episode) -> bool:
    return isinstance(episode.info.get("critic"), CriticEpisode)


def critic_episode(episode: Episode) -> CriticEpisode:
    made = episode.info.get("critic")
    if not isinstance(made, CriticEpisode):
        raise TrainingError("this environment leaves no critique behind: a recipe with `critic` needs one that does")
    return made


def _of_term(term: Term) -> Callable[[Sequence[Episode], int], list[float | None]]:
    return lambda episodes, step: [
        term(critic_episode(episode)) if is_critique(episode) else None for episode in episodes
    ]


def critic_parts(
    spec: CriticSpec, oracle: Verifier, own: Callable[[CriticEpisode], float | None] | None = None
) -> list[RewardPart]:
    """The parts of a critic's reward. `correctness` is whether the judgement is right: it is the accuracy that is
    shown, and what success rates are about; it enters the reward through the term of the method alone.
    """
    verifier: Verifier = CritiqueVerifier(spec.format.load(), spec.target)
    if spec.policy_rows:
        verifier = CritiqueOrAnswer(verifier, oracle)  # type: ignore[arg-type]
    parts = [
        RewardPart("correctness", 0.0, verifier),
        RewardPart("critic", 1.0, episodes=CritiqueRewards(spec, oracle, own)),
    ]
    if spec.looks_at_refinements:
        parts.append(RewardPart("refined", 0.0, episodes=_of_term(Helpfulness(when=spec.refine.when))))
    return parts


def sample_fields(episode: Episode) -> dict[str, Any]:
    """What samples.jsonl keeps of a critique beside the text."""
    made = episode.info.get("critic")
    if not isinstance(made, CriticEpisode):
        return {}
    critique = made.critique
    return {
        "critique": {
            "judgement": critique.judgement and critique.judgement.value,
            "parse_status": critique.parse_status,
            "first_error": critique.first_error,
            "refinements": [{"text": r.text, "answer": r.answer, "correct": r.correct} for r in made.refinements],
        }
    }
