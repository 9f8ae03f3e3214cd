"""100 generated inputs, drawn from recipes, data files, the user's functions and models in which something is wrong:
each gives one message and exit code 1 or 2, or a right result, and leaves nothing half-written. `make soak` tries 500
others (tests/soak/test_generated.py).
"""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.generated.case import Case, Outcome, check, complaints
from tests.generated.mixture import GROUPS, cases, examples
from tests.generated.recipes import DRY, NAME, TEXT, leaves
from tests.generated.recipes import laid as recipe_with

IN_THE_SUITE = 100


@pytest.mark.slow
@pytest.mark.parametrize("group", GROUPS)
def test_what_is_wrong_is_refused_and_what_is_right_is_done(group: str) -> None:
    @settings(
        max_examples=examples(group, IN_THE_SUITE),
        derandomize=True,
        deadline=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(st.data())
    def every_case(data: st.DataObject) -> None:
        check(data.draw(cases(group)))

    every_case()


def test_shares_add_up() -> None:
    assert sum(examples(group, 100) for group in GROUPS) == 100
    assert sum(examples(group, 500) for group in GROUPS) == 500


def test_the_schema_is_walked_to_its_ends() -> None:
    keys = {leaf.key for leaf in leaves()}
    assert {
        "seed",
        "optim.lr",
        "model.lora.rank",
        "train.kl.coefficient",
        "data.train.source",
        "critic.refine.refinements",
    } <= keys
    assert recipe_with(("model", "lora", "rank"), 3)["model"] == {"path": "tiny-arithmetic", "lora": {"rank": 3}}


def verdict(case: Case) -> list[str]:
    return complaints(case)[0]


def test_the_check_sees_what_it_is_for(tmp_path: Path) -> None:
    files = {NAME: TEXT.encode()}
    assert verdict(Case("right", DRY, files, "right")) == []
    assert verdict(Case("accepted", DRY, files)) == ["exit 0: what is wrong was accepted"]
    wrong = (*DRY, "train.steps=many")
    assert verdict(Case("refused", wrong, files, words=("steps",))) == []
    assert verdict(Case("refused", (*wrong, "--json"), files, words=("steps",))) == []
    assert verdict(Case("refused", wrong, files, "right")) == ["what is right was refused"]
    assert verdict(Case("refused", wrong, files, words=("nobody",))) == ["the message names none of ('nobody',)"]
    assert verdict(Case("no such option", ("train", NAME, "--nobody"), files)) == []
    assert verdict(Case("a wrong result", DRY, files, "either", right=lambda folder, outcome: "bad")) == [
        "exit 0 with a wrong result: bad"
    ]


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("raise ValueError('bad')", "a traceback: ValueError: bad"),
        ("sys.exit(7)", "exit code 7"),
        ("print('error: a\\nerror: b', file=sys.stderr); sys.exit(2)", "2 messages instead of one"),
        ("sys.exit(2)", "0 messages instead of one"),
        ("open('x.tmp', 'w'); print('error: a', file=sys.stderr); sys.exit(1)", "left behind: x.tmp"),
        (
            "open('x', 'w'); print('error: a', file=sys.stderr); sys.exit(2)",
            "refused with exit code 2, and yet written: ['x']",
        ),
        ("open('x.json', 'w').write('{'); print('error: a', file=sys.stderr); sys.exit(1)", "half-written: x.json"),
        (
            "open('x.jsonl', 'w').write('{}\\n{'); print('error: a', file=sys.stderr); sys.exit(1)",
            "half-written: x.jsonl",
        ),
        ("os.makedirs('step-3'); print('error: a', file=sys.stderr); sys.exit(1)", "half-written: step-3"),
        ("os.remove('a'); print('error: a', file=sys.stderr); sys.exit(1)", "lost: a"),
    ],
)
def test_the_check_complains_of(code: str, words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def command() -> None:
        exec(f"import os, sys\n{code}")

    monkeypatch.setattr("reasonrl.cli.main", command)
    complaint, *more = verdict(Case("a command that does wrong", ("x",), {"a": b""}))
    assert complaint.startswith(words) and not more


def test_json_on_standard_output_is_one_object_without_nan(monkeypatch: pytest.MonkeyPatch) -> None:
    for text, right in (('{"a": 1}', True), ('{"a": NaN}', False), ('hello\n{"a": 1}', False), ("", False)):
        monkeypatch.setattr("reasonrl.cli.main", lambda text=text: print(text))
        assert (verdict(Case("prints", ("x", "--json"), {}, "right")) == []) == right
    assert Outcome(0, '{"a": 1}', "").json() == {"a": 1}
