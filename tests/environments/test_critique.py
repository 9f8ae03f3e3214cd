"""A critique and its refinements: who speaks, what carries loss, what happens when the actor fails."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from critics.formats import load_format
from critics.types import CriticEpisode, Critique, Judgement, Solution
from reasonrl.data.critiques import critique_problem
from reasonrl.engines.base import RoleEngines, Sampling
from reasonrl.environments.base import Episode, Trajectory
from reasonrl.environments.critique import CritiqueAndRefine
from reasonrl.environments.roles import LocalSpeaker, ServedFailure
from reasonrl.environments.rollouts import roll_out
from reasonrl.errors import DataError
from reasonrl.evaluation.critics import critic_metrics
from reasonrl.recipe.critics import CriticSpec
from reasonrl.rewards.base import total_reward
from reasonrl.rewards.critique import CritiqueRewards, critic_episode, critic_parts
from reasonrl.rewards.scoring import score_episodes
from reasonrl.update.samples import sample_fields
from tests.environments.scripted import TOKENIZER, ScriptedEngine
from verifiers.loading import load_verifier
from verifiers.types import Message, Problem, Status

FORMAT = load_format("step_sentence", instruction="Check.", refine_instruction="Again.")
SAMPLING = Sampling(60)
FINAL = "Correctness of the final answer: "


def problem(name: str = "p", *, right: bool = False) -> Problem:
    last = "19 - 5 = 14" if right else "19 - 5 = 13"
    reference = {
        "answer": "14",
        "solution": f"12 + 7 = 19\n{last}",
        "steps": ["12 + 7 = 19", last],
        "correct": right,
        "first_error": -1 if right else 1,
    }
    return critique_problem(Problem(name, "12 + 7 - 5", "critique", reference), FORMAT)


def play(
    critic: str, actor: str | None, *, refinements: int = 2, when: str = "all", problems: Sequence[Problem] = ()
) -> tuple[list[Episode], ScriptedEngine, ScriptedEngine]:
    trained, other = ScriptedEngine(lambda prompt, seed: critic), ScriptedEngine(lambda prompt, seed: actor or "")
    speaker = LocalSpeaker("actor", TOKENIZER, Sampling(40), engine="actor") if actor is not None else None
    environment = CritiqueAndRefine(
        TOKENIZER, SAMPLING, format=FORMAT, actor=speaker, refinements=refinements, when=when
    )  # type: ignore[arg-type]
    chosen = list(problems) or [problem()]
    return roll_out(environment, trained, chosen, [1] * len(chosen), seed=(0,), others={"actor": other}), trained, other


def test_only_the_critic_carries_loss() -> None:
    (episode,), _, _ = play(f"{FINAL}Wrong", "12 + 7 = 19\n19 - 5 = 14")
    assert [t.role for t in episode.trajectories] == ["policy", "actor", "actor"]
    assert episode.trained_trajectory is episode.trajectories[0] and all(episode.trained_trajectory.loss_mask)
    assert not any(any(t.loss_mask) for t in episode.trajectories[1:])
    assert episode.text == f"{FINAL}Wrong"
    assert "Again." in TOKENIZER.decode(episode.trajectories[1].prompt_ids) and FINAL in TOKENIZER.decode(
        episode.trajectories[1].prompt_ids
    )


def test_all_refinements_of_all_episodes_are_one_batch() -> None:
    episodes, critic, actor = play(f"{FINAL}Wrong", "14", refinements=3, problems=[problem("a"), problem("b")])
    assert critic.batches == [2] and actor.batches == [6] and len(episodes) == 2


def test_what_is_called_correct_is_not_refined_if_the_recipe_says_so() -> None:
    (episode,), _, actor = play(f"{FINAL}Correct", "14", when="judged_incorrect")
    assert len(episode.trajectories) == 1 and actor.batches == []
    (episode,), _, _ = play("no judgement", "14", when="judged_incorrect")
    assert len(episode.trajectories) == 3


def rewards(spec: CriticSpec, episodes: list[Episode]) -> list[float | None]:
    parts = critic_parts(spec, load_verifier("math", mode="lenient"))
    score_episodes(episodes, parts)
    return [total_reward(episode, parts) for episode in episodes]


@pytest.mark.parametrize(
    ("critic", "actor", "reward"),
    [
        (f"{FINAL}Wrong", "12 + 7 = 19\n19 - 5 = 14", 1.2),
        (f"{FINAL}Wrong", "13", 0.2),
        (f"{FINAL}Correct", "14", 1.0),
        ("?", "13", 0.0),
    ],
)
def test_phase_two_end_to_end(critic: str, actor: str, reward: float) -> None:
    spec = CriticSpec.model_validate(
        {"format": {"name": "step_sentence"}, "phase": 2, "refine": {"refinements": 2, "actor": "same"}}
    )
    episodes, _, _ = play(critic, actor)
    assert rewards(spec, episodes) == [reward]
    made = critic_episode(episodes[0])
    assert [r.correct for r in made.refinements] == [actor != "13"] * 2
    assert episodes[0].verdicts["correctness"].correct is (critic == f"{FINAL}Wrong")
    assert sample_fields(episodes[0])["critique"]["refinements"][0]["correct"] is (actor != "13")


class BrokenSpeaker:
    async def say(self, chats: Sequence[list[Message]], seeds: Sequence[int], engines: RoleEngines) -> list[Trajectory]:
        raise ServedFailure("http://somewhere: no answer within 1 s (3 attempts)")


def test_an_actor_that_fails_masks_the_episode_and_is_counted() -> None:
    environment = CritiqueAndRefine(TOKENIZER, SAMPLING, format=FORMAT, actor=BrokenSpeaker(), refinements=2)
    episodes = roll_out(environment, ScriptedEngine(lambda prompt, seed: f"{FINAL}Wrong"), [problem()], [1], seed=(0,))
    spec = CriticSpec.model_validate({"phase": 2, "refine": {"refinements": 2}})
    assert rewards(spec, episodes) == [None]
    verdict = episodes[0].verdicts["refined"]
    assert verdict.status is Status.ERROR and "no answer within 1 s" in verdict.reason
    assert episodes[0].verdicts["correctness"].correct is True, "the judgement itself was read"
    # An evaluation leaves it out of every figure of refinements, and says how many there were.
    answered, _, _ = play(f"{FINAL}Wrong", "12 + 7 = 19\n19 - 5 = 14")
    rewards(spec, answered)
    made = critic_metrics([*answered, *episodes], 1, "k")
    assert (made["k_refine"], made["k_refine_before"], made["k_refine_failed"], made["k_parse_rate"]) == (
        1.0,
        0.0,
        0.5,
        1.0,
    )
    assert "k_refine" not in critic_metrics(episodes, 1, "k")


def test_an_actor_that_answers_nothing_is_wrong_not_broken() -> None:
    spec = CriticSpec.model_validate({"phase": 2, "refine": {"refinements": 2}})
    episodes, _, _ = play(f"{FINAL}Wrong", "")
    assert rewards(spec, episodes) == [0.2]


def test_a_function_of_ones_own_sees_the_refinements() -> None:
    spec = CriticSpec.model_validate({"reward": "my:function", "refine": {"refinements": 2}})
    episodes, _, _ = play(f"{FINAL}Wrong", "14")
    own = CritiqueRewards(spec, load_verifier("math", mode="lenient"), lambda e: 10.0 * len(e.refinements))
    assert own(episodes, 1) == [20.0]


def test_problems_that_are_no_solutions_are_refused() -> None:
    with pytest.raises(DataError, match="has the kind 'math', but a critic judges solutions"):
        critique_problem(Problem("m", "1 + 1", "math", {"answer": "2"}), FORMAT)
    with pytest.raises(DataError, match="needs 'solution'"):
        critique_problem(Problem("m", "1 + 1", "critique", {"correct": True}), FORMAT)


def test_crl_mixes_problems_to_solve_among_those_to_judge() -> None:
    to_solve = Problem("m", [{"role": "user", "content": "12 + 7 - 5"}], "math", {"answer": "14"})
    spec = CriticSpec.model_validate({"reward": "crl", "scale": 0.8, "policy_rows": True})
    parts = critic_parts(spec, load_verifier("math", mode="lenient"))
    answers = iter([f"{FINAL}Wrong", "12 + 7 = 19\n19 - 5 = 14", f"{FINAL}Correct", "13"])
    engine = ScriptedEngine(lambda prompt, seed: next(answers))
    environment = CritiqueAndRefine(TOKENIZER, SAMPLING, format=FORMAT)
    problems = [problem("a"), to_solve, problem("b"), Problem("n", to_solve.prompt, "math", {"answer": "14"})]
    episodes = roll_out(environment, engine, problems, [1] * 4, seed=(0,))
    score_episodes(episodes, parts)
    assert [total_reward(episode, parts) for episode in episodes] == [0.8, 1.0, 0.0, 0.0]
    assert [episode.verdicts["correctness"].correct for episode in episodes] == [True, True, False, False]
    verifier = parts[0].verifier
    assert (
        verifier is not None
        and verifier.gold_response({"answer": "14"})
        and "Wrong" in verifier.gold_response(problem("a").reference)
    )


def test_recalls_are_about_what_the_critic_judges() -> None:
    """Rows with a marked step and no answer label, as those of PRM800K: an index for one critic, a last step for
    another, or not known.
    """
    steps = ("a", "b", "c")

    def one(first_error: int, said: Judgement, named: int | None) -> Episode:
        solution = Solution("p", "a", steps, first_error=first_error)
        critic = CriticEpisode(problem(), solution, Critique("", said, first_error=named))
        return Episode(problem(), 0, 0, [], critique=critic)

    episodes = [one(-1, Judgement.CORRECT, -1), one(1, Judgement.INCORRECT, 1), one(2, Judgement.CORRECT, -1)]
    by_index = critic_metrics(episodes, 1, "k", "index")
    assert (
        by_index["k_first_error_accuracy"] == 0.5
        and by_index["k_no_error_accuracy"] == 1.0
        and "k_error_recall" not in by_index
    )
    by_last_step = critic_metrics(episodes, 1, "k", "last_step")
    assert (by_last_step["k_correct_recall"], by_last_step["k_error_recall"]) == (1.0, 0.0), (
        "the step behind a wrong one has no label"
    )
    assert "k_process_f1" not in by_last_step
