"""What an ordinary program sees, and how its endings are told apart."""

from __future__ import annotations

import math
import resource
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from verifiers.sandbox import Call, Ending, Limits, Outcome, Stdin
from verifiers.sandbox.local import LocalSandbox
from verifiers.sandbox.values import Items, Opaque

pytestmark = pytest.mark.sandbox

SHORT = Limits(cpu_s=0.8, wall_factor=1.5, memory_mb=256, processes=8, output_bytes=10_000)
KIND = """
import math
from collections import Counter, OrderedDict, namedtuple
Point = namedtuple("Point", "x y")
values = {
    "list": [1, [2.5, None], "a"], "tuple": (1, (2,)), "set": {1, 2}, "frozenset": frozenset("ab"), "bytes": b"\\0a",
    "complex": 1 + 2j, "bool": True, "none": None, "big": 10 ** 40, "counter": Counter("aab"), "point": Point(1, 2),
    "ordered": OrderedDict(a=1), "text": "\\u00e9\\U0001f600", "infinity": math.inf, "negative zero": -0.0,
    "keys": {(1, 2): "a", 3: "b"},
}
def value(name):
    return values[name]
def same(*args, **kwargs):
    return args, kwargs
def generator():
    yield 1
class Solution:
    def __init__(self):
        self.seen = 0
    def add(self, x, y=1):
        self.seen += 1
        return x + y, self.seen
"""


def script(sandbox: LocalSandbox, program: str, text: str = "", limits: Limits = SHORT) -> Outcome:
    (outcome,) = sandbox.run(program, [Stdin(text)], limits)
    return outcome


def value_of(sandbox: LocalSandbox, call: Call, program: str = KIND) -> object:
    (outcome,) = sandbox.run(program, [call], SHORT)
    assert outcome.ending is Ending.FINISHED, outcome
    return outcome.value


@pytest.mark.parametrize(
    ("program", "text", "wanted"),
    [
        ("print(input() + input())", "a\nb\n", b"ab\n"),
        ("import sys; print(sum(map(int, sys.stdin.read().split())))", "1 2\n3", b"6\n"),
        ("import sys; print(len(sys.stdin.buffer.read()))", "\u00e9\n", b"3\n"),
        ("print(len(open(0).read()))", "abc", b"3\n"),
        ("import os; os.write(1, os.read(0, 10))", "abc", b"abc"),
        ("import sys\nfor line in sys.stdin: print(line.strip()[::-1])", "ab\ncd\n", b"ba\ndc\n"),
        ("try:\n    input()\nexcept EOFError:\n    print('end')", "", b"end\n"),
        ("print(input())", "\udcff", b"\xff\n"),
        ("if __name__ == '__main__':\n    print('main')", "", b"main\n"),
        ("import sys\nprint(1)\nsys.exit(0)", "", b"1\n"),
        ("import sys\nprint(1)\nsys.exit()", "", b"1\n"),
        ("import sys\nsys.stdout = open(1, 'w')\nprint(2)", "", b"2\n"),
        ("import threading\nthreading.Thread(target=print, args=(3,)).start()", "", b"3\n"),
        ("import multiprocessing as m\nif __name__ == '__main__':\n    with m.get_context('fork').Pool(2) as p:\n"
         "        print(p.map(abs, [-1, 2]))", "", b"[1, 2]\n"),
        ("import subprocess\nprint(subprocess.run(['/bin/echo', 'x'], capture_output=True, text=True).stdout)", "",
         b"x\n\n"),
        ("open('a.txt', 'w').write('x')\nprint(open('/tmp/a.txt').read())", "", b"x\n"),
        ("import sys\nsys.setrecursionlimit(100_000)\ndef f(n):\n    return n and 1 + f(n - 1)\nprint(f(50_000))", "",
         b"50000\n"),
        ("import tempfile\nwith tempfile.TemporaryFile() as f:\n    f.write(b'x')\nprint('y')", "", b"y\n"),
        ("import atexit\natexit.register(print, 'late')\nprint('early')", "", b"early\nlate\n"),
        ("from dataclasses import dataclass\n@dataclass\nclass A:\n    x: int\nprint(A(1))", "", b"A(x=1)\n"),
        ("import pickle\nclass A: pass\nprint(type(pickle.loads(pickle.dumps(A()))).__name__)", "", b"A\n"),
        ("", "unread", b""),
    ],
)  # fmt: skip
def test_scripts_read_and_write(sandbox: LocalSandbox, program: str, text: str, wanted: bytes) -> None:
    outcome = script(sandbox, program, text, Limits())

    assert (outcome.ending, outcome.stdout, outcome.error) == (Ending.FINISHED, wanted, "")


@pytest.mark.parametrize(
    ("program", "ending", "exception", "error"),
    [
        ("1 / 0", Ending.ERROR, "ZeroDivisionError", "ZeroDivisionError: division by zero"),
        ("def f(:", Ending.ERROR, "SyntaxError", "SyntaxError: invalid syntax"),
        ("import nothing_of_this_name", Ending.ERROR, "ModuleNotFoundError",
         "ModuleNotFoundError: No module named 'nothing_of_this_name'"),
        ("raise KeyError('two\\nlines')", Ending.ERROR, "KeyError", "KeyError: 'two\\nlines'"),
        ("raise ValueError('two\\nlines')", Ending.ERROR, "ValueError", "ValueError: two lines"),
        ("import sys\nsys.exit(3)", Ending.ERROR, "SystemExit", "exit status 3"),
        ("import sys\nsys.exit('no')", Ending.ERROR, "SystemExit", "exit status 1"),
        ("import os\nos._exit(5)", Ending.ERROR, "", "exit status 5"),
        ("import ctypes\nctypes.string_at(0)", Ending.ERROR, "", "killed by SIGSEGV"),
        ("x = bytearray(1 << 30)", Ending.MEMORY_LIMIT, "MemoryError", "more than 256 MB of memory"),
        ("print('x' * 20_000)", Ending.OUTPUT_LIMIT, "", "more than 10000 bytes of output"),
        ("import time\ntime.sleep(60)", Ending.TIME_LIMIT, "", "more than 0.8 s of processor time, or 1.2 s asleep"),
    ],
)  # fmt: skip
def test_endings_are_told_apart(
    sandbox: LocalSandbox, program: str, ending: Ending, exception: str, error: str
) -> None:
    outcome = script(sandbox, program)

    assert (outcome.ending, outcome.exception, outcome.error) == (ending, exception, error)


def test_output_before_the_end_is_there(sandbox: LocalSandbox) -> None:
    failed = script(sandbox, "print('a', flush=True)\n1 / 0")
    late = script(sandbox, "import time\nprint('a', flush=True)\ntime.sleep(60)")

    assert (failed.stdout, late.stdout) == (b"a\n", b"a\n")


def test_output_up_to_the_limit_is_no_flood(sandbox: LocalSandbox) -> None:
    outcome = script(sandbox, "print('x' * 9_999)")

    assert (outcome.ending, len(outcome.stdout)) == (Ending.FINISHED, 10_000)


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("list", [1, [2.5, None], "a"]),
        ("tuple", (1, (2,))),
        ("set", {1, 2}),
        ("frozenset", frozenset("ab")),
        ("bytes", b"\0a"),
        ("complex", 1 + 2j),
        ("bool", True),
        ("none", None),
        ("big", 10**40),
        ("counter", {"a": 2, "b": 1}),
        ("point", (1, 2)),
        ("ordered", {"a": 1}),
        ("text", "\u00e9\U0001f600"),
        ("infinity", math.inf),
        ("keys", {(1, 2): "a", 3: "b"}),
    ],
)
def test_values_come_back_as_plain_values(sandbox: LocalSandbox, name: str, wanted: object) -> None:
    value = value_of(sandbox, Call("value", (name,)))

    assert value == wanted
    assert type(value) is type(wanted)


def test_negative_zero_keeps_its_sign(sandbox: LocalSandbox) -> None:
    assert math.copysign(1, value_of(sandbox, Call("value", ("negative zero",)))) == -1  # type: ignore[arg-type]


def test_arguments_arrive_as_they_are(sandbox: LocalSandbox) -> None:
    args, kwargs = (1, 2.5, "\ud800", (3,), {4}, None, b"x"), {"a": [True], "b": {1: 2}}

    assert value_of(sandbox, Call("same", args, kwargs)) == (args, kwargs)


def test_a_method_is_called_on_a_new_object(sandbox: LocalSandbox) -> None:
    calls = [Call("Solution.add", (1,)), Call("Solution.add", (1,), {"y": 5})]

    assert [outcome.value for outcome in sandbox.run(KIND, calls, SHORT)] == [(2, 1), (6, 1)]


def test_an_instance_is_no_plain_value(sandbox: LocalSandbox) -> None:
    assert isinstance(value_of(sandbox, Call("Solution")), Opaque)


def test_a_generator_comes_back_with_its_items(sandbox: LocalSandbox) -> None:
    value = value_of(sandbox, Call("generator"))

    assert isinstance(value, Items)
    assert value.items == [1]


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (Call("absent"), "NameError: the program does not define 'absent'"),
        (Call("Solution.absent"), "NameError: the program's class 'Solution' does not define 'absent'"),
        (Call("value"), "TypeError: value() missing 1 required positional argument: 'name'"),
        (Call("value", ("x",)), "KeyError: 'x'"),
    ],
)
def test_a_failed_call_says_why(sandbox: LocalSandbox, call: Call, error: str) -> None:
    (outcome,) = sandbox.run(KIND, [call], SHORT)

    assert (outcome.ending, outcome.error) == (Ending.ERROR, error)


COUNTER = "seen = []\ndef count():\n    seen.append(1)\n    return len(seen)"


def test_calls_know_nothing_of_each_other(sandbox: LocalSandbox) -> None:
    assert [outcome.value for outcome in sandbox.run(COUNTER, [Call("count")] * 3, SHORT)] == [1, 1, 1]


def test_calls_may_share_a_process_where_that_is_asked_for(sandbox: LocalSandbox) -> None:
    outcomes = sandbox.run(COUNTER, [Call("count")] * 3, SHORT, share_process=True)

    assert [outcome.value for outcome in outcomes] == [1, 2, 3]


def test_one_failed_call_leaves_the_others_alone(sandbox: LocalSandbox) -> None:
    program = "import os, time\ndef f(x):\n    if x == 1: os._exit(0)\n    if x == 2: os.abort()\n    return x"
    outcomes = list(sandbox.run(program, [Call("f", (x,)) for x in range(4)], SHORT))

    assert [outcome.ending for outcome in outcomes] == [Ending.FINISHED, Ending.ERROR, Ending.ERROR, Ending.FINISHED]
    assert (outcomes[0].value, outcomes[3].value) == (0, 3)


@pytest.mark.parametrize("share", [False, True])
def test_a_call_that_takes_too_long_leaves_the_others_alone(sandbox: LocalSandbox, share: bool) -> None:
    program = "import time\ndef f(x):\n    if x == 1: time.sleep(60)\n    return x"
    calls = [Call("f", (x,)) for x in range(3)]
    outcomes = list(sandbox.run(program, calls, SHORT, share_process=share))

    assert [outcome.ending for outcome in outcomes] == [Ending.FINISHED, Ending.TIME_LIMIT, Ending.FINISHED]


def test_each_call_has_the_whole_time(sandbox: LocalSandbox) -> None:
    program = (
        "import time\ndef f():\n    start = time.process_time()\n    while time.process_time() < start + 0.6: pass"
    )
    limits = Limits(cpu_s=1.0, wall_factor=60.0)

    for share in (False, True):
        outcomes = list(sandbox.run(program, [Call("f")] * 2, limits, share_process=share))

        assert [outcome.ending for outcome in outcomes] == [Ending.FINISHED] * 2


def test_a_sample_without_inputs_starts_nothing_and_is_over_at_once(sandbox: LocalSandbox) -> None:
    started = time.monotonic()
    assert list(sandbox.run("def f(): pass", [])) == []
    assert time.monotonic() - started < 5
    assert value_of(sandbox, Call("value", ("none",))) is None


def test_memory_that_processes_share_lies_in_the_working_folder(sandbox: LocalSandbox) -> None:
    """So that its limit is the folder's, and it goes with it."""
    program = "open('/dev/shm/a', 'w').write('x'); import os; print(os.listdir('/tmp'), os.listdir('/proc'))"
    for _ in range(2):
        (outcome,) = sandbox.run(program, [Stdin()])
        assert outcome.stdout == b"['a'] []\n"


def test_outcomes_come_one_by_one(sandbox: LocalSandbox) -> None:
    outcomes = sandbox.run("import time\ndef f(x): time.sleep(x)", [Call("f", (0,)), Call("f", (60,))])
    started = time.monotonic()
    first = next(outcomes)
    outcomes.close()  # type: ignore[attr-defined]

    assert first.ending is Ending.FINISHED
    assert time.monotonic() - started < 30


def test_a_module_that_fails_fails_all_its_calls(sandbox: LocalSandbox) -> None:
    outcomes = list(sandbox.run("raise ValueError('x')", [Call("f")] * 3))

    assert [outcome.error for outcome in outcomes] == ["ValueError: x"] * 3


def test_scripts_and_calls_do_not_mix(sandbox: LocalSandbox) -> None:
    with pytest.raises(ValueError, match="a script or called, not both"):
        list(sandbox.run("", [Stdin(), Call("f")]))


def test_eight_threads_get_their_own_outcomes(sandbox: LocalSandbox) -> None:
    def one(number: int) -> tuple[bytes, object]:
        printed = script(sandbox, "print(int(input()) * 7)", str(number), Limits())
        (called,) = sandbox.run("def f(x): return x * 7", [Call("f", (number,))])
        return printed.stdout, called.value

    with ThreadPoolExecutor(8) as pool:
        outcomes = list(pool.map(one, range(40)))

    assert outcomes == [(f"{number * 7}\n".encode(), number * 7) for number in range(40)]


@pytest.mark.parametrize("share", [False, True])
@pytest.mark.parametrize(
    "program",
    [
        "import os\nos._exit(0)",
        "import sys\nsys.exit(0)",
        "import os\ndef f():\n    os._exit(0)",
        "import sys\ndef f():\n    sys.exit(0)",
        "import os\nos.execv('/bin/true', ['true'])",
        "import os\ndef f():\n    os.execv('/bin/true', ['true'])",
        "import os\nos.close(3)\nos._exit(0)",
        "import os\ndef f():\n    os.kill(os.getpid(), 9)\n    os._exit(0)",
    ],
)
def test_a_program_that_ends_has_not_returned_none(sandbox: LocalSandbox, program: str, share: bool) -> None:
    outcomes = list(sandbox.run(program, [Call("f")] * 2, SHORT, share_process=share))
    tests = sandbox.run_tests("assert f() is None", ["f"], program, SHORT)

    assert [outcome.ending for outcome in outcomes] == [Ending.ERROR] * 2
    assert tests.value is None


def test_a_program_cannot_make_the_judge_hold_all_its_values_at_once(sandbox: LocalSandbox) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    outcomes = sandbox.run("def f(): return 'x' * 900_000", [Call("f")] * 200, Limits(), share_process=True)
    lengths = []
    for outcome in outcomes:
        assert isinstance(outcome.value, str)
        lengths.append(len(outcome.value))

    assert lengths == [900_000] * 200
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 60_000, "180 MB went through"


def test_test_text_asks_the_program_in_another_process(sandbox: LocalSandbox) -> None:
    tests = "for x in range(3):\n    assert double(x) == 2 * x\ntry:\n    double(None)\nexcept TypeError:\n    pass\n"

    right = sandbox.run_tests(tests, ["double"], "def double(x): return x * 2")
    wrong = sandbox.run_tests(tests, ["double"], "def double(x): return x + 2")
    cheat = sandbox.run_tests(tests, ["double"], "class E:\n    __eq__ = lambda *a: True\ndef double(x): return E()")

    assert right.value is True
    assert (wrong.value, wrong.ending, wrong.exception) == (None, Ending.ERROR, "AssertionError")
    assert cheat.value is None


def test_a_program_that_never_ends_a_test_is_ended(sandbox: LocalSandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("verifiers.sandbox.sample._ASKING_WALLS", 0.5)
    outcome = sandbox.run_tests("while not ready():\n    pass", ["ready"], "def ready(): return False", SHORT)

    assert outcome.ending in (Ending.TIME_LIMIT, Ending.STALLED)


def test_shared_test_text_needs_the_secret_back(sandbox: LocalSandbox) -> None:
    right = sandbox.run_shared("assert f(1) == 2", "def f(x): return x + 1")
    wrong = sandbox.run_shared("assert f(1) == 2", "def f(x): return x")
    ended = sandbox.run_shared("assert f(1) == 2", "import os\nos._exit(0)")
    claimed = sandbox.run_shared(
        "assert f(1) == 2",
        "import json, os, struct\ndef f(x):\n    body = json.dumps({'passed': True}).encode()\n"
        "    os.write(3, struct.pack('<I', len(body)) + body)\n    os._exit(0)",
    )

    assert (right.value, wrong.value, ended.value, claimed.value) == (True, None, None, None)


@pytest.mark.parametrize(
    "limits",
    [{"cpu_s": float("inf")}, {"memory_mb": 0}, {"memory_mb": 64.5}, {"processes": True}, {"wall_factor": -1.0}],
)
def test_a_limit_that_is_none_is_a_mistake(limits: dict[str, Any]) -> None:
    (name,) = limits
    with pytest.raises(ValueError, match=f"the limit {name} is .*; write a number above 0"):
        Limits(**limits)
