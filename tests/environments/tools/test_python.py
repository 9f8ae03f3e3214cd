"""The tool `python`, in the real sandbox."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from reasonrl.environments.tools.base import CallStatus
from reasonrl.environments.tools.python import PythonTool


def python_calls(codes: list[str], **options: Any) -> list[Any]:
    async def run() -> list[Any]:
        session = PythonTool(**options).session(3)
        return [await session.call({"code": code}) for code in codes]

    return asyncio.run(run())


def test_a_program_shows_what_it_prints_its_last_value_and_its_error() -> None:
    results = python_calls(["print(1)\n2", "x = 1", "None", "print(3)\n1/0", "def f(:", "exit(3)", "input()"])
    assert [r.text for r in results[:4]] == [
        "1\n2",
        "(no output)",
        "(no output)",
        "3\nZeroDivisionError: division by zero",
    ]
    assert results[4].text.startswith("SyntaxError") and results[5].text == "exit status 3"
    assert results[6].text.startswith("EOFError")
    assert [r.status for r in results] == [CallStatus.OK] * 3 + [CallStatus.ERROR] * 4


def test_a_stateful_session_goes_on_and_a_stateless_one_does_not() -> None:
    cells = ["x = 41", "x += 1\nprint('quiet before')", "1/0\ny = 1", "x", "y"]
    stateful = python_calls(cells, stateful=True)
    assert [r.text for r in stateful[3:]] == ["42", "NameError: name 'y' is not defined"]
    assert python_calls(cells)[3].text == "NameError: name 'x' is not defined"


def test_a_cell_that_ran_out_of_time_is_not_tried_again() -> None:
    results = python_calls(["x = 1", "while True: pass", "x"], stateful=True, cpu_s=0.5)
    assert [r.status for r in results] == [CallStatus.OK, CallStatus.TIMEOUT, CallStatus.OK] and results[2].text == "1"


def test_a_cell_that_ends_its_program_does_not_end_the_session() -> None:
    results = python_calls(["x = 1\nexit(3)", "x"], stateful=True)
    assert (results[0].text, results[1].text) == ("exit status 3", "1")


@pytest.mark.parametrize(
    "deadly",
    [
        "import os\nos._exit(0)",
        "raise KeyboardInterrupt",
        "import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)",
        "import sys\nsys.stdout = None",
        "import sys\nsys.stdout.close()",
        "import os\nos.close(1)",
        "raise GeneratorExit",
    ],
)
def test_no_cell_ruins_the_later_ones(deadly: str) -> None:
    results = python_calls(["x = 41", deadly, "import sys\nsys.stdout = sys.__stdout__\nx + 1", "x"], stateful=True)
    later = [r.text for r in results[2:]]
    if "close()" in deadly:  # the stream is closed for good, as in a notebook
        assert all("closed file" in text for text in later)
    else:
        assert later == ["42", "41"], results


def test_a_stream_that_a_cell_has_saved_writes_again_and_replays_say_nothing() -> None:
    cells = [
        "import sys\nout = sys.stdout\nprint('first')",
        "import os, subprocess\nos.write(1, b'second')\nprint('third', file=sys.__stdout__)",
        "print(5, file=out)",
        "import logging\nlogging.basicConfig(stream=sys.stdout, level=10)",
        "logging.info('six')",
        "print(7)\nimport os\nos.write(1, b'8')",
    ]
    results = [r.text for r in python_calls(cells, stateful=True)]
    assert results[0] == "first" and results[1].replace("\n", "") in ("secondthird", "thirdsecond")
    assert results[2] == "5" and results[4] == "INFO:root:six"
    assert "7" in results[5] and "8" in results[5] and "six" not in results[5] and "first" not in results[5]


def test_a_policy_that_prints_something_like_the_end_reads_it() -> None:
    results = python_calls(["print('\\x1e0123456789abcdef')", "print('x\\x1ey')"], stateful=True)
    assert [r.text for r in results] == ["\x1e0123456789abcdef", "x\x1ey"]
