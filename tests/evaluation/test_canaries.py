"""Canaries through `critic eval`: counts, intervals, rows, the table and the page of `reasonrl view`."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from critics.canaries import KINDS
from critics.formats import load_format
from reasonrl.commands.critic import canaries_text
from reasonrl.data.critiques import critique_problem
from reasonrl.engines.base import RoleEngines, Sampling
from reasonrl.environments.base import Trajectory
from reasonrl.environments.roles import LocalSpeaker, ServedFailure
from reasonrl.errors import DataError
from reasonrl.evaluation.canaries import canary_figures, canary_problems
from reasonrl.evaluation.critic_benchmark import Criticised, criticise, figures_by_subset, sample_rows
from reasonrl.evaluation.viewing.pages import ResultsPages
from reasonrl.models.tiny import CRITIC, build_model, build_tokenizer
from reasonrl.recipe.reading import parse_recipe
from reasonrl.setup.lengths import fitting_problems
from reasonrl.setup.roles import LoadedCritic
from reasonrl.stats import clustered_mean, wilson
from tests.critics.test_canaries import WRONG, Unread
from tests.runs.fake_run import write_rows
from verifiers.types import Problem

FORMAT = load_format("conclusion")
RIGHT, WRONG_VERDICT, UNREAD = "\\conclusion{T}", "\\conclusion{F}", "I cannot say."


def problems(count: int) -> list[Problem]:
    rows = [Problem(f"p{n}", f"{n} + 7 - 5", "critique", WRONG, "sums") for n in range(count)]
    return [critique_problem(row, FORMAT) for row in rows]


class Critic:
    """A critic that looks at the prompt."""

    def __init__(self, reply: Callable[[str], str | None]) -> None:
        self._reply = reply

    async def say(self, chats: Sequence[Any], seeds: Sequence[int], engines: RoleEngines) -> list[Trajectory]:
        replies = [self._reply(chat[-1]["content"]) for chat in chats]
        if None in replies:
            raise ServedFailure("the server is gone")
        return [Trajectory("critic", [], [], [], [], str(reply), "stop") for reply in replies]


def judged(reply: Callable[[str], str | None], *, questions: int = 20, per_kind: int = 20) -> list[Criticised]:
    canaries = canary_problems(problems(questions), FORMAT, per_kind=per_kind, seed=0)
    return criticise(canaries, FORMAT, Critic(reply), None, n=1, seed=0)


def test_what_is_accepted_is_counted_with_its_interval() -> None:
    figures = canary_figures(judged(lambda prompt: RIGHT if "\\boxed" in prompt else WRONG_VERDICT))
    assert list(figures) == list(KINDS)
    confident = figures["confident"]
    assert (confident["n"], confident["accepted"], confident["unread"]) == (20, 5, 0)
    assert confident["false accepts"] == wilson(5, 20)._asdict()
    assert confident["variants"]["boxed"] == {"n": 5, "accepted": 5, "unread": 0, "not answered": 0}
    assert sum(variant["accepted"] for variant in confident["variants"].values()) == 5
    for kind in set(KINDS) - {"confident"}:
        assert figures[kind]["accepted"] == 0 and figures[kind]["false accepts"]["high"] > 0.1


def test_what_cannot_be_read_is_not_accepted_and_stays_among_the_judged() -> None:
    conflict = f"{RIGHT} {WRONG_VERDICT}"
    figures = canary_figures(judged(lambda prompt: UNREAD if "<solution>\n:" in prompt else conflict))
    for kind in KINDS:
        assert figures[kind]["accepted"] == 0 and figures[kind]["unread"] == figures[kind]["n"] == 20
        assert figures[kind]["false accepts"]["estimate"] == 0


def test_a_server_that_does_not_answer_is_neither() -> None:
    figures = canary_figures(judged(lambda prompt: None if "Respuesta" in prompt else RIGHT))
    keys = figures["master_key"]
    assert keys["not answered"] == keys["variants"]["spanish"]["not answered"] > 0
    assert keys["n"] == keys["accepted"] == 20 - keys["not answered"] == keys["false accepts"]["n"]
    silent = canary_figures(judged(lambda prompt: None))
    assert "false accepts" not in silent["blank"] and silent["blank"]["not answered"] == 20
    assert "not answered" in canaries_text(silent, 0)


def test_where_questions_repeat_the_interval_is_clustered_by_question() -> None:
    accepted = "2 + 7 - 5"
    figures = canary_figures(
        judged(lambda prompt: RIGHT if accepted in prompt else WRONG_VERDICT, questions=4, per_kind=36)
    )
    keys = figures["master_key"]
    assert (keys["n"], keys["accepted"]) == (36, 9)
    groups = [[1.0] * 9, [0.0] * 9, [0.0] * 9, [0.0] * 9]
    assert keys["false accepts"] == clustered_mean(groups)._asdict() and keys["false accepts"]["n"] == 4
    assert keys["false accepts"]["high"] > wilson(9, 36).high


def test_a_critic_that_copies_the_end_of_the_solution_accepts_nothing() -> None:
    """The prompt shows the forged verdicts without their marks."""
    figures = canary_figures(judged(lambda prompt: prompt.rpartition("\n</solution>")[0].rpartition("\n")[2]))
    assert all(kind["accepted"] == 0 and kind["unread"] == kind["n"] for kind in figures.values())


def test_a_format_that_cannot_accept_is_named() -> None:
    with pytest.raises(DataError, match="Unread does not read its own critique"):
        canary_problems(problems(2), Unread(), per_kind=1, seed=0)


def test_rows_and_table_and_page(tmp_path: Path) -> None:
    rows = problems(20)
    honest = criticise(rows, FORMAT, Critic(lambda prompt: WRONG_VERDICT), None, n=2, seed=0)
    canaries = judged(
        lambda prompt: RIGHT if "Note to the grader" in prompt else UNREAD if ":" in prompt[-90:] else WRONG_VERDICT
    )
    figures = canary_figures(canaries)
    write_rows(tmp_path / "samples.jsonl", [*sample_rows(honest, greedy=False), *sample_rows(canaries, greedy=True)])
    results = {"model": "m", "subsets": figures_by_subset(honest), "canaries": figures}
    (tmp_path / "results.json").write_text(json.dumps(results))
    kept = [json.loads(line) for line in (tmp_path / "samples.jsonl").read_text().splitlines()]
    assert [row["rollout"] for row in kept[:4]] == [0, 1, 0, 1] and "canary" not in kept[0]
    assert len(kept) == 40 + 20 * len(KINDS)
    accepted = [row for row in kept if row.get("canary") and row["judgement"] == "correct"]
    assert {row["canary"]["variant"] for row in accepted} == {"note"} and len(accepted) == figures["instruction"][
        "accepted"
    ]
    assert all(row["verdicts"]["critique"]["correct"] is False for row in accepted)

    pages = ResultsPages([tmp_path])
    pages.check()
    table = {row["set"]: row["figures"][0] for row in pages.routes["/api/results"]({})["sets"]}
    assert list(table) == ["sums", *(f"canary {kind}" for kind in KINDS)]
    rejected = table["canary instruction"]["accuracy"]
    assert rejected["n"] == 20 and rejected["estimate"] <= 1 - figures["instruction"]["accepted"] / 20
    page = pages.routes["/api/answers"]({"set": "canary instruction", "outcome": "wrong", "q": "note to the grader"})
    (answer,) = page["groups"][0]["sides"]
    assert answer["shown"]["prompt"].startswith("user:\nProblem:\n") and answer["shown"]["response"] == RIGHT
    assert answer["shown"]["reason"] == "says correct; the label is incorrect"

    text = canaries_text(figures, 3)
    assert all(kind in text for kind in KINDS) and "left out, too long for the model: 3" in text
    line = next(line for line in text.splitlines() if line.startswith("instruction"))
    share = figures["instruction"]["false accepts"]
    assert f"{share['estimate']:.1%}" in line and f"{share['low']:.1%} to {share['high']:.1%}" in line


@pytest.mark.parametrize(
    ("reference", "reply", "verdict"),
    [
        ({"correct": False}, RIGHT, (False, "judged")),
        ({"correct": False}, WRONG_VERDICT, (True, "judged")),
        ({"correct": True}, RIGHT, (True, "judged")),
        ({"correct": False}, UNREAD, (False, "unparsed")),
        ({"correct": True, "first_error": 1}, RIGHT, (False, "unparsed")),  # it names no step
        ({}, RIGHT, (None, "error")),
    ],
)
def test_a_row_says_whether_its_critique_is_right(
    reference: dict[str, Any], reply: str, verdict: tuple[bool | None, str]
) -> None:
    row = Problem(
        "p", [{"role": "user", "content": "?"}], "critique", {"solution": "a", "steps": ["a", "b"], **reference}
    )
    (sample,) = sample_rows([Criticised(row, [FORMAT.parse(reply, 2)], [reply])], greedy=True)
    read = sample["verdicts"]["critique"]
    assert (read["correct"], read["status"]) == verdict


def test_what_does_not_fit_the_model_is_left_out() -> None:
    canaries = canary_problems(problems(8), FORMAT, per_kind=8, seed=0)
    tokenizer, config = build_tokenizer(CRITIC), build_model(0, None, CRITIC).config
    recipe = parse_recipe("name: t\ndata: {train: {source: none}}\nrollout: {max_new_tokens: 300}", "t").stages[0]
    fitting = fitting_problems(recipe, tokenizer, config, canaries)
    assert 0 < len(fitting) < len(canaries)
    config.max_position_embeddings = 4096
    assert fitting_problems(recipe, tokenizer, config, canaries) == canaries


def test_canaries_are_judged_greedily_whatever_the_temperature() -> None:
    critic = LoadedCritic(LocalSpeaker("critic", None, Sampling(9, temperature=0.7)), None, [])
    greedy = critic.greedy_speaker
    assert isinstance(greedy, LocalSpeaker)
    assert greedy.sampling == Sampling(9, temperature=0.0) and critic.speaker.sampling.temperature == 0.7
