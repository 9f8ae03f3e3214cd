"""Step 4 of critic recipes: what critiques earn, the same on both backends."""

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


def reward_term(spec: CriticSpec, step: int, user_term: Callable[[CriticEpisode], float | None] | None = None) -> Term:
    """What a critique earns at this step (from 1). `user_term` is the function of a dotted `reward`."""
    term: Term
    if user_term is not None:
        term = user_term
    elif spec.reward == "critique_rl":
        term = rewards.critique_rl(
            spec.phase,
            variant=spec.variant,
            beta=spec.judgement_weight,
            mode=spec.helpfulness,
            when=spec.refine.when,
        )
    elif spec.reward == "refcritic":
        term = rewards.refcritic(Piecewise(spec.refine_weight).at(step), when=spec.refine.when)
    elif spec.reward == "spc":
        term = rewards.spc_critic()
    else:
        terms = {
            "ctrl": rewards.ctrl,
            "criticlean": rewards.criticlean,
            "crl": rewards.critique_coder,
            "deepcritic": rewards.deepcritic,
        }
        term = terms[spec.reward]()
    if spec.scale == 1.0 and not spec.leak_penalty:
        return term
    return WeightedSum([(spec.scale, term), (1.0 if spec.leak_penalty else 0.0, LeakPenalty(spec.leak_penalty))])


class CritiqueRewards:
    """The reward part "critic": judges the refinements of a whole step in one batch, then asks the term."""

    def __init__(
        self,
        spec: CriticSpec,
        answer_verifier: Verifier,
        user_term: Callable[[CriticEpisode], float | None] | None = None,
    ) -> None:
        self.spec, self.answer_verifier, self.user_term = spec, answer_verifier, user_term

    def __call__(self, episodes: Sequence[Episode], step: int) -> list[float | None]:
        critiques = [episode for episode in episodes if is_critique(episode) or not self.spec.policy_rows]
        self.judge_refinements(critiques)
        term = reward_term(self.spec, step, self.user_term)
        return [self._reward(episode, term) for episode in episodes]

    def _reward(self, episode: Episode, term: Term) -> float | None:
        if not is_critique(episode) and self.spec.policy_rows:
            return episode.verdicts["correctness"].score
        return None if episode.failure is not None else term(critic_episode(episode))

    def judge_refinements(self, episodes: Sequence[Episode]) -> None:
        """Fill in `refinements` and a verdict "refined" for each episode that has any."""
        rows = [
            (episode, trajectory)
            for episode in episodes
            for trajectory in episode.trajectories
            if trajectory is not episode.trained_trajectory and not critic_episode(episode).refinements
        ]
        verdicts = self.answer_verifier.verify([t.text for _, t in rows], [e.problem.reference for e, _ in rows])
        for (episode, trajectory), verdict in zip(rows, verdicts, strict=True):
            refinements = critic_episode(episode).refinements
            refinements.append(Refinement(trajectory.text, verdict.extracted, verdict.correct, len(refinements)))
            episode.verdicts["refined"] = verdict
        for episode in episodes:
            if episode.failure is not None:
                # The judgement was read, but what the critique is worth is not known: the episode is masked, and
                # counted as an error.
                failed = Verdict(None, None, Status.ERROR, None, "actor", episode.failure, 0.0)
                episode.verdicts["refined"] = failed


class CritiqueOrAnswer:
    """CRL's batches hold both: critiques are judged as critiques, all else by the recipe's verifier."""

    def __init__(self, critiques: CritiqueVerifier, answers: Verifier) -> None:
        self.critiques, self.answers = critiques, answers

    def verify(self, responses: Sequence[str], references: Sequence[dict[str, Any]]) -> list[Verdict]:
        verdicts: list[Verdict | None] = [None] * len(responses)
        for verifier, judges_critiques in ((self.critiques, True), (self.answers, False)):
            rows = [i for i, ref in enumerate(references) if is_critique_reference(ref) == judges_critiques]
            row_verdicts = verifier.verify([responses[i] for i in rows], [references[i] for i in rows])
            for i, verdict in zip(rows, row_verdicts, strict=True):
                verdicts[i] = verdict
        return [verdict for verdict in verdicts if verdict is not None]

    def gold_response(self, reference: dict[str, Any]) -> str:
        return (self.critiques if is_critique_reference(reference) else self.answers).gold_response(reference)


def is_critique_reference(reference: dict[str, Any]) -> bool:
    return "solution" in reference or "steps" in reference


def is_critique(episode: Episode) -> bool:
    return episode.critique is not None


def critic_episode(episode: Episode) -> CriticEpisode:
    """The critique of an episode. Raises TrainingError if its environment does not provide one."""
    if episode.critique is None:
        raise TrainingError(
            "rollout.environment: its episodes have no critique, but the recipe has a section critic; write"
            " critique_and_refine, or set Episode.critique in your environment"
        )
    return episode.critique


def term_reward(term: Term) -> Callable[[Sequence[Episode], int], list[float | None]]:
    return lambda episodes, step: [
        term(critic_episode(episode)) if is_critique(episode) else None for episode in episodes
    ]


def critic_parts(
    spec: CriticSpec, answer_verifier: Verifier, user_term: Callable[[CriticEpisode], float | None] | None = None
) -> list[RewardPart]:
    """The parts of a critic's reward. `correctness` is whether the judgement is right. It is the reported accuracy and
    the basis of success rates; it enters the reward only through the term of the method.
    """
    verifier: Verifier = CritiqueVerifier(spec.format.load(), spec.target)
    if spec.policy_rows:
        verifier = CritiqueOrAnswer(verifier, answer_verifier)  # type: ignore[arg-type]
    parts = [
        RewardPart("correctness", 0.0, verifier),
        RewardPart("critic", 1.0, episodes=CritiqueRewards(spec, answer_verifier, user_term)),
    ]
    if spec.looks_at_refinements:
        parts.append(RewardPart("refined", 0.0, episodes=term_reward(Helpfulness(when=spec.refine.when))))
    return parts
