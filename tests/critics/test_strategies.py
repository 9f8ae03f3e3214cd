"""Strategies, played by a scripted actor and a scripted critic."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from critics.strategies import STRATEGIES, load_strategy
from critics.strategies.base import Draft, probability, voted
from critics.types import Critique, Judgement

RIGHT, WRONG = Critique("+", Judgement.CORRECT), Critique("-", Judgement.INCORRECT, feedback="Look again.")
UNREAD = Critique("?", None, parse_status="missing")
SIGNS = {"+": RIGHT, "-": WRONG, "?": UNREAD}
SIGNS |= {str(n): Critique("-", Judgement.INCORRECT, first_error=n, feedback="Look again.") for n in range(5)}


@dataclass
class FakePlay:
    """Drafts answer `answers` in order; draft number i is judged by the signs judgements[i], in order; refinements
    answer `refined` in order and are judged by the signs of `judged_again`.
    """

    answers: str
    judgements: Sequence[str] = ()
    refined: str = ""
    judged_again: Sequence[str] = ()
    best: Draft | None = None
    drawn: list[str] = field(default_factory=list)
    criticised: Counter[str] = field(default_factory=Counter)

    async def drafts(self, count: int, *, first: int = 0) -> list[Draft]:
        names = [f"draft/{i}" for i in range(first, first + count)]
        self.drawn += names
        answers = [self.answers[i] for i in range(first, first + count)]
        return [Draft(n, a, None if a == "." else a, False, 1) for n, a in zip(names, answers, strict=True)]

    async def critiques(self, drafts: Sequence[Draft], count: int = 1) -> list[list[Critique]]:
        judged = []
        for draft in drafts:
            depth = draft.name.count("refine") + draft.name.count("from")
            signs = self.judged_again[depth - 1] if depth else self.judgements[int(draft.name.split("/")[1])]
            self.criticised[draft.name] = max(count, self.criticised[draft.name])
            judged.append([SIGNS[sign] for sign in signs[:count]])
        return judged

    async def refinements(self, pairs: Sequence[tuple[Draft, Critique]]) -> list[Draft]:
        assert all(critique is WRONG for _, critique in pairs), "only a rejected draft is written again"
        written = []
        for draft, _ in pairs:
            name = f"{draft.name}/refine"
            answer = self.refined[name.count("refine") - 1]
            written.append(Draft(name, answer, answer, False, 1))
        return written

    async def continuations(self, places: Sequence[tuple[Draft, int]]) -> list[Draft]:
        names = [f"{draft.name}/from/{step}" for draft, step in places]
        self.drawn += names
        answers = [self.refined[name.count("from") - 1] for name in names]
        return [Draft(name, answer, answer, False, 1) for name, answer in zip(names, answers, strict=True)]


def result(name: str, play: FakePlay, **options: int) -> tuple[str, str]:
    stopped_by = asyncio.run(load_strategy(name, **options).play(play))
    assert play.best is not None
    return play.best.text, stopped_by


def test_single_asks_no_critic() -> None:
    play = FakePlay("ab")
    assert result("single", play) == ("a", "completed") and not play.criticised


@pytest.mark.parametrize(
    ("play", "expected"),
    [
        (FakePlay("a", ["+"]), ("a", "accepted")),
        (FakePlay("a", ["-"], "bc", ["+"]), ("b", "accepted")),
        (FakePlay("a", ["-"], "bcd", ["-", "+"]), ("c", "accepted")),
        (FakePlay("a", ["-"], "bcd", ["-", "-", "+"]), ("d", "rounds")),  # the last refinement is not judged
        (FakePlay("a", ["??+"], "b"), ("a", "accepted")),
        (FakePlay("a", ["???"], "b"), ("a", "rounds")),
        (FakePlay("a", ["?-"], "b", ["+"]), ("b", "accepted")),
    ],
)
def test_refine_until_accepted(play: FakePlay, expected: tuple[str, str]) -> None:
    assert result("refine", play, rounds=3) == expected


@pytest.mark.parametrize(
    ("judgements", "expected"),
    [
        ("++++++", ("b", "completed")),
        ("++--+-", ("a", "completed")),
        ("--+-++", ("b", "completed")),
        ("------", ("b", "all_rejected")),
        ("?-----", ("a", "completed")),  # an unread critique rejects nothing
        ("-----+", ("b", "all_rejected")),  # all that is left has no answer
    ],
)
def test_a_filtered_vote(judgements: str, expected: tuple[str, str]) -> None:
    play = FakePlay("aabbb.", list(judgements))
    assert result("filtered_vote", play, samples=6) == expected


def test_votes() -> None:
    assert result("majority", FakePlay("abbac"), samples=5) == ("a", "completed"), "of equals the first"
    assert result("majority", FakePlay(".b."), samples=3) == ("b", "completed"), "no answer, no vote"
    assert result("majority", FakePlay("..."), samples=3) == (".", "completed")
    weighted = FakePlay("abb", ["++", "--", "--"])
    assert result("weighted_vote", weighted, samples=3, critiques=2) == ("a", "completed"), "3/4 against 1/4 + 1/4"
    unread = FakePlay("abb", ["?", "?", "-"])
    assert result("weighted_vote", unread, samples=3) == ("b", "completed"), "1/2 against 1/2 + 1/3"


def test_best_of_n() -> None:
    assert result("best_of_n", FakePlay("abc", ["--", "+-", "++"]), samples=3, critiques=2) == ("c", "completed")
    assert result("best_of_n", FakePlay("abc", ["-", "?", "-"]), samples=3) == ("b", "completed"), "unread is between"
    assert result("best_of_n", FakePlay(".bc", ["+", "-", "-"]), samples=3) == ("b", "completed"), "an answer is needed"


def test_step_search() -> None:
    assert result("step_search", FakePlay("a", ["+"])) == ("a", "accepted")
    play = FakePlay("a", ["2"], "bcd", ["2", "3", "+"])
    assert result("step_search", play) == ("d", "accepted")
    assert play.drawn == ["draft/0", "draft/0/from/2", "draft/0/from/2/from/2", "draft/0/from/2/from/2/from/3"]
    play = FakePlay("a", ["1"], "bcdefg", ["1"] * 6)
    assert result("step_search", play, tries=2) == ("c", "all_rejected"), "two tries of one step"
    assert result("step_search", FakePlay("a", ["-"], "b", ["+"])) == ("b", "accepted"), "no step is named: anew"
    play = FakePlay("a", ["??3"], "b", ["+"])
    assert result("step_search", play) == ("b", "accepted") and play.criticised["draft/0"] == 3
    assert result("step_search", FakePlay("a", ["0"], "bc", ["1", "2"]), rounds=2) == ("c", "rounds")


def test_regenerate() -> None:
    play = FakePlay("abcd", ["-", "?", "+", "+"])
    assert result("regenerate", play, tries=4) == ("c", "accepted") and play.drawn == ["draft/0", "draft/1", "draft/2"]
    assert result("regenerate", FakePlay("abb", "---"), tries=3) == ("b", "rounds"), "all are rejected: they vote"


@pytest.mark.parametrize(
    ("play", "expected"),
    [
        (FakePlay("a", ["++-"]), ("a", "accepted")),
        (FakePlay("a", ["--+"], "b", ["+++"]), ("b", "accepted")),
        (FakePlay("a", ["-?+"]), ("a", "undecided")),
        (FakePlay("a", ["???"]), ("a", "undecided")),
        (FakePlay("a", ["---"], "bc", ["---"]), ("c", "rounds")),
    ],
)
def test_a_panel(play: FakePlay, expected: tuple[str, str]) -> None:
    assert result("panel", play, critiques=3, rounds=2) == expected


@given(st.lists(st.tuples(st.sampled_from([None, "a", "b", "c"]), st.integers(0, 3)), min_size=1, max_size=8))
def test_the_vote_is_that_of_counting(votes: list[tuple[str | None, int]]) -> None:
    drafts = [Draft(f"draft/{i}", "", answer, False, 0) for i, (answer, _) in enumerate(votes)]
    chosen = voted(drafts, [float(weight) for _, weight in votes])
    totals = {answer: sum(w for a, w in votes if a == answer) for answer, _ in votes if answer is not None}
    if not totals:
        assert chosen is drafts[0]
        return
    most = max(totals.values())
    first = next(draft for draft in drafts if draft.answer is not None and totals[draft.answer] == most)
    assert chosen is first


@given(st.lists(st.sampled_from("+-?"), max_size=6))
def test_beliefs(signs: list[str]) -> None:
    belief = probability([SIGNS[sign] for sign in signs])
    read = [sign for sign in signs if sign != "?"]
    if not read:
        assert belief is None
    else:
        assert belief == (read.count("+") + 1) / (len(read) + 2) and 0 < belief < 1


def test_scores_count_where_a_format_has_them() -> None:
    critiques = [Critique("", Judgement.CORRECT, score=0.9), Critique("", Judgement.INCORRECT, score=0.4)]
    assert probability(critiques) == pytest.approx(0.65)
    assert probability([*critiques, RIGHT]) == pytest.approx(3 / 5), "not all have one: they are counted"


def test_names_and_options_are_checked() -> None:
    assert all(kind.summary and kind.__doc__ for kind in STRATEGIES.values())
    with pytest.raises(ValueError, match="no strategy 'refin'; did you mean 'refine'"):
        load_strategy("refin")
    with pytest.raises(ValueError, match=r"the strategy refine has no option 'samples'; its options: rounds"):
        load_strategy("refine", samples=3)
    with pytest.raises(ValueError, match="samples is 0; write a whole number from 1 to 256"):
        load_strategy("majority", samples=0)
