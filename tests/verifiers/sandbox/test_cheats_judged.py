"""The cheats that peers pay, judged by the code verifier itself."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.verifiers.sandbox.attacks.floods import LIMITS
from tests.verifiers.sandbox.attacks.judging import CHEATS
from tests.verifiers.sandbox.conftest import need
from verifiers.code.verifier import CodeVerifier
from verifiers.types import Status, Verdict

pytestmark = pytest.mark.sandbox

ASSERTS = {"tests": ["assert answer(0) == 1", "assert answer(99) == 100"]}
CHECK = {
    "entry_point": "answer",
    "prompt": "def answer(x):\n",
    "tests": ["def check(candidate):\n    assert candidate(0) == 1\n    for x in range(5, 9):\n"
              "        assert candidate(x) == x + 1\n"],
}  # fmt: skip
NAMED = {"tests": {"fn_name": "answer", "inputs": ["0", "99"], "outputs": ["1", "100"]}}
TEXT = {"tests": ["for x in iter(lambda c=iter(range(3)): next(c), 2):\n    assert answer(x) == x + 1"]}
REFERENCES = {"asserts": ASSERTS, "check": CHECK, "named": NAMED, "test text": TEXT}


@pytest.fixture(scope="module")
def verifier() -> Iterator[CodeVerifier]:
    need("bubblewrap")
    made = CodeVerifier(workers=6, limits=LIMITS)
    yield made
    made.close()


@pytest.fixture(scope="module")
def verdicts(verifier: CodeVerifier) -> dict[tuple[str, str], Verdict]:
    pairs = [(cheat.name, form) for cheat in CHEATS for form in REFERENCES]
    programs = {cheat.name: cheat.program for cheat in CHEATS}
    found = verifier.verify_answers([programs[name] for name, _ in pairs], [REFERENCES[form] for _, form in pairs])
    return dict(zip(pairs, found, strict=True))


@pytest.mark.parametrize("form", REFERENCES)
def test_an_honest_program_is_paid(verifier: CodeVerifier, form: str) -> None:
    (verdict,) = verifier.verify_answers(["def answer(x):\n    return x + 1"], [REFERENCES[form]])

    assert (verdict.correct, verdict.score) == (True, 1.0), verdict.reason


@pytest.mark.parametrize("form", REFERENCES)
@pytest.mark.parametrize("cheat", [cheat.name for cheat in CHEATS])
def test_a_cheat_is_not_paid(verdicts: dict[tuple[str, str], Verdict], cheat: str, form: str) -> None:
    verdict = verdicts[cheat, form]

    assert verdict.correct is not True
    assert verdict.status is Status.JUDGED or "too busy" in verdict.reason, "a cheat cannot have its row masked"


@pytest.mark.parametrize(
    ("reference", "program"),
    [
        ({"tests": {"inputs": [""], "outputs": [""]}}, "import sys\nsys.exit(1)"),
        ({"tests": {"inputs": ["1\n"], "outputs": ["1\n"]}}, "import os\nos.write(1, b'1')\n1 / 0"),
        ({"tests": {"inputs": ["1\n"], "outputs": ["1\n"]}}, "print(1)\nraise ValueError"),
        ({"tests": {"inputs": ["1\n"], "outputs": ["1\n"]}}, "import os\nprint(1, flush=True)\nos._exit(1)"),
        ({"tests": ["assert f() is None"]}, "import os\nos._exit(0)"),
        ({"tests": ["assert f() is None"]}, "import os\ndef f():\n    os._exit(0)"),
        ({"tests": ["assert f() is None", "assert f() is None"]}, "def f():\n    raise SystemExit(0)"),
        ({"tests": ["import gc\nassert f() is gc"]}, "import os\nos._exit(0)"),
        ({"tests": ["import gc\nassert f() is gc"]}, "import os\ndef f():\n    os._exit(0)"),
        ({"tests": ["assert not f()"]}, "def f():\n    return Nothing"),
        ({"tests": ["assert f() != 3"]}, "import os\nos._exit(0)"),
    ],
)  # fmt: skip
def test_an_early_end_is_no_success(verifier: CodeVerifier, reference: dict[str, Any], program: str) -> None:
    (verdict,) = verifier.verify_answers([program], [reference])

    assert verdict.correct is not True
    assert verdict.status is Status.JUDGED


@pytest.mark.parametrize("tests", [[], {"inputs": [], "outputs": []}, "", None])
def test_no_tests_pay_nobody(verifier: CodeVerifier, tests: object) -> None:
    (verdict,) = verifier.verify_answers(["def answer(x):\n    return x + 1"], [{"tests": tests}])

    assert (verdict.correct, verdict.status) == (None, Status.ERROR)
