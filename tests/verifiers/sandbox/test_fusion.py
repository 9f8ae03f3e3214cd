"""A remote server of SandboxFusion, played by a fake that follows its documented requests and answers."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest

from tests.verifiers.sandbox.fake_fusion import FIELDS, FakeServer, answer, fake_server
from verifiers.code.verifier import CodeVerifier
from verifiers.sandbox import Call, Ending, Limits, Outcome, Sandbox, SandboxUnavailable, Stdin, open_sandbox
from verifiers.sandbox.fusion import FusionSandbox

SHORT = Limits(cpu_s=0.4, wall_factor=2.0)
SECRET = "the expected value 60221407"


@pytest.fixture(scope="module")
def server() -> Iterator[FakeServer]:
    with fake_server() as fake:
        yield fake


@pytest.fixture
def sandbox(server: FakeServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[Sandbox]:
    monkeypatch.setattr("verifiers.sandbox.fusion_http.PAUSES_S", (0.0, 0.0))
    server.requests.clear()
    yield FusionSandbox(server.address, workers=4)
    assert server.answers == []


def script(sandbox: Sandbox, program: str, stdin: str = "", limits: Limits | None = None) -> Outcome:
    (outcome,) = sandbox.run(program, [Stdin(stdin)], limits or Limits())
    return outcome


def finished(stdout: str, code: int = 0, status: str = "Finished", stderr: str = "") -> dict[str, Any]:
    run = {"status": status, "execution_time": 0.1, "return_code": code, "stdout": stdout, "stderr": stderr}
    return answer(run, "Success" if status == "Finished" and code == 0 else "Failed")


def test_it_is_opened_by_its_address_and_tried_with_programs(server: FakeServer) -> None:
    server.requests.clear()
    sandbox = open_sandbox(f"fusion:{server.address}/")

    assert sandbox.isolation == "fusion"
    request, _ = server.requests  # a script, and a call
    assert set(request) == FIELDS
    assert (request["language"], request["run_timeout"], request["memory_limit_MB"]) == ("python", 100.0, 2560)


@pytest.mark.parametrize("name", ["fusion", "fusion:", "fusion:localhost:8080", "fusion:http://", "fusion:http://a:b"])
def test_a_name_without_an_address_is_a_mistake(name: str) -> None:
    with pytest.raises(ValueError, match=r"names no server; write fusion:http://HOST:PORT"):
        open_sandbox(name)


def test_a_python_for_programs_is_not_taken_to_a_server(server: FakeServer) -> None:
    with pytest.raises(ValueError, match=r"programs run on the server .* with its own: drop one"):
        open_sandbox(f"fusion:{server.address}", python="/usr/bin/python3")


def test_a_server_that_is_not_there_is_unavailable_until_it_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("verifiers.sandbox.fusion_http.PAUSES_S", (0.0, 0.0))
    with fake_server() as fake:
        address = fake.address
        fake.answers += [(503, b"starting")] * 3
        with pytest.raises(SandboxUnavailable, match=r"does not work: the sandbox failed: .* HTTP 503 .*: starting"):
            open_sandbox(f"fusion:{address}")
        assert open_sandbox(f"fusion:{address}").isolation == "fusion"
    with pytest.raises(SandboxUnavailable, match=r"does not work: the sandbox failed: .* no answer: .*refused"):
        open_sandbox(f"fusion:{address}")


@pytest.mark.parametrize(
    ("program", "stdin", "ending", "stdout", "error"),
    [
        ("print(int(input()) * 2)", "21", Ending.FINISHED, b"42\n", ""),
        ("print(open(0).read())", "ä\n", Ending.FINISHED, "ä\n\n".encode(), ""),
        ("import sys\nsys.stdout.buffer.write(bytes([255]))", "", Ending.FINISHED, b"\xff", ""),
        ("if __name__ == '__main__':\n    print(1)", "", Ending.FINISHED, b"1\n", ""),
        ("print(1)\n1 / 0", "", Ending.ERROR, b"1\n", "ZeroDivisionError: division by zero"),
        ("import sys\nsys.exit(3)", "", Ending.ERROR, b"", "exit status 3"),
        ("import os\nos.abort()", "", Ending.ERROR, b"", "killed by SIGABRT"),
        ("def f(:", "", Ending.ERROR, b"", "SyntaxError: invalid syntax"),
        ("x = bytearray(3 << 30)", "", Ending.MEMORY_LIMIT, b"", "more than 1024 MB of memory"),
        ("import os\nos.closerange(3, 99)\nprint(1)", "", Ending.FINISHED, b"1\n", ""),
        ("import os\nos.kill(os.getppid(), 9)", "", Ending.ERROR, b"", "the program ended what watched it"),
        (f"import os\nos.write(3, {bytes([14, 0, 0, 0])!r} + b'{{\"ready\":true}}')", "", Ending.FINISHED, b"", ""),
    ],
)
def test_scripts(sandbox: Sandbox, program: str, stdin: str, ending: Ending, stdout: bytes, error: str) -> None:
    outcome = script(sandbox, program, stdin)

    assert (outcome.ending, outcome.stdout, outcome.error) == (ending, stdout, error)


def test_output_is_cut_on_the_server(sandbox: Sandbox) -> None:
    outcome = script(sandbox, "while True:\n    print('x' * 1000)", limits=Limits(output_bytes=5000))

    assert (outcome.ending, len(outcome.stdout)) == (Ending.OUTPUT_LIMIT, 5000)


def test_a_program_that_sleeps_has_used_its_time(sandbox: Sandbox) -> None:
    assert script(sandbox, "import time\ntime.sleep(60)", limits=SHORT).ending is Ending.TIME_LIMIT


def test_a_program_that_computes_has_used_its_time_unless_the_machine_is_busy(sandbox: Sandbox) -> None:
    outcome = script(sandbox, "while True:\n    pass", limits=Limits(cpu_s=0.4, wall_factor=20))

    assert outcome.ending in (Ending.TIME_LIMIT, Ending.STALLED)


def test_a_process_that_stays_is_ended_and_does_not_hold_the_program_up(sandbox: Sandbox) -> None:
    program = "import os, time\nif os.fork() == 0:\n    os.setsid()\n    time.sleep(60)\nprint(1)"
    outcome = script(sandbox, program)

    assert (outcome.ending, outcome.stdout) == (Ending.FINISHED, b"1\n")
    assert outcome.wall_s < 30


FRAMES = "import os, struct\ndef say(body):\n    os.write(3, struct.pack('<I', len(body)) + body)\n"


@pytest.mark.parametrize(
    "program",
    [
        "while True:\n    say(b'{\"begun\":true}')",
        "while True:\n    say(b'{\"ready\":true}')",
        'while True:\n    say(b\'{"call":5,"value":"1"}\')',
        "import time\nfor _ in range(9):\n    say(b'{\"begun\":true}')\n    time.sleep(0.5)\nos._exit(1)",
        "say(b'[' * 100000)\nos._exit(0)",
        'say(b\'{"call":0,"value":{}}\')\nos._exit(0)',
        'say(b\'{"call":[],"value":[]}\')\nos._exit(0)',
        "say(b'1')\nos._exit(0)",
        "os.write(3, b'\\xff' * 1000)\nos._exit(0)",
        "os.kill(os.getppid(), 19)",
    ],
)
def test_messages_of_the_program_neither_pass_nor_mask_it(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, program: str
) -> None:
    monkeypatch.setattr("verifiers.sandbox.fusion._SPARE_S", 0.5)
    outcome = next(sandbox.run(FRAMES + program, [Call("f", (1,))], SHORT))

    assert outcome.is_judged and outcome.ending is not Ending.FINISHED, outcome


CALLS = """
seen = []
def f(x):
    seen.append(x)
    if x == 2:
        1 / 0
    if x == 3:
        import os
        os._exit(0)
    if x == 4:
        import os, signal
        os.kill(os.getppid(), signal.SIGKILL)
        os._exit(0)
    return seen
"""


def test_each_call_starts_from_the_loaded_program(sandbox: Sandbox, server: FakeServer) -> None:
    outcomes = list(sandbox.run(CALLS, [Call("f", (x,)) for x in range(7)]))

    assert [outcome.value for outcome in outcomes] == [[0], [1], None, None, None, [5], [6]]
    assert [outcome.error for outcome in outcomes[2:5]] == [
        "ZeroDivisionError: division by zero",
        "exit status 0",
        "killed by SIGKILL",
    ]
    assert len(server.requests) < 7


def test_a_program_that_does_not_load_fails_in_every_call(sandbox: Sandbox) -> None:
    outcomes = list(sandbox.run("1 / 0", [Call("f", (x,)) for x in range(3)]))

    assert [(outcome.ending, outcome.exception) for outcome in outcomes] == [(Ending.ERROR, "ZeroDivisionError")] * 3


@pytest.mark.parametrize(
    ("tests", "program", "ending"),
    [
        ("assert f(1) == 2\nassert f(3) == 4", "def f(x):\n    return x + 1", Ending.FINISHED),
        ("assert f(1) == 2\nassert f(3) == 5", "def f(x):\n    return x + 1", Ending.ERROR),
        (
            "try:\n    f(1)\nexcept ValueError:\n    pass\nelse:\n    assert 0",
            "def f(x): raise ValueError",
            Ending.FINISHED,
        ),
        ("f(1)\nassert f(2) == [1, 2]", "seen = []\ndef f(x):\n    seen.append(x)\n    return seen", Ending.FINISHED),
        ("import os\nassert f(os.getpid()) != f(0)", "def f(x):\n    return x", Ending.BROKEN),
        ("while True:\n    f(1)", "def f(x):\n    return x", Ending.BROKEN),
    ],
)
def test_test_text_runs_apart_from_the_program(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, tests: str, program: str, ending: Ending
) -> None:
    monkeypatch.setattr("verifiers.sandbox.fusion._MOST_QUESTIONS", 3)

    assert sandbox.run_tests(tests, ["f"], program).ending is ending


def test_test_text_and_the_program_never_meet_on_the_server(sandbox: Sandbox, server: FakeServer) -> None:
    sandbox.run_tests(f"assert f(1) != {SECRET!r}", ["f"], "def f(x):\n    return 'of the program'")

    holding = [(SECRET in str(request), "def f" in str(request)) for request in server.requests]
    assert holding == [(True, False), (False, True), (True, False)]


@pytest.mark.parametrize(
    ("program", "ending"),
    [
        ("def f(x):\n    return x + 1", Ending.FINISHED),
        ("def f(x):\n    return x + 2", Ending.ERROR),
        ("raise SystemExit(0)", Ending.ERROR),
        ("import os\ndef f(x):\n    os._exit(0)", Ending.ERROR),
    ],
)
def test_test_text_in_the_process_of_the_program(sandbox: Sandbox, program: str, ending: Ending) -> None:
    assert sandbox.run_shared("assert f(1) == 2", program).ending is ending


FAILURES = [
    (500, b"out of order"),
    (504, b"timeout"),
    (429, b"too many"),
    (200, b"<html>a proxy</html>"),
    (200, b"[" * 100_000),
    (200, [1]),
    (200, {"status": "Success"}),
    (200, {"status": "Success", "run_result": {"status": "Error"}}),
    (200, {"status": "Fine", "run_result": {"status": "Finished", "stdout": "42\n"}}),
    (200, answer(None, "SandboxError", "no space left on device")),
]


@pytest.mark.parametrize("failure", FAILURES, ids=[str(body)[:30] for _, body in FAILURES])
def test_a_failure_of_the_server_is_tried_again_and_then_masked(
    sandbox: Sandbox, server: FakeServer, failure: Any
) -> None:
    server.answers += [failure, failure]
    assert script(sandbox, "print(1)").ending is Ending.FINISHED

    server.answers += [failure] * 3
    outcome = script(sandbox, "print(1)")
    assert outcome.ending is Ending.BROKEN
    assert outcome.error.startswith(f"the sandbox failed: {server.address}: ")
    assert outcome.error.isprintable() and len(outcome.error) < 400


def test_a_request_that_the_server_refuses_is_not_repeated(sandbox: Sandbox, server: FakeServer) -> None:
    server.answers += [(422, b"no such language")]

    assert "HTTP 422" in script(sandbox, "print(1)").error
    assert len(server.requests) == 1


def test_a_server_without_what_is_needed_is_broken_and_not_the_program(sandbox: Sandbox, server: FakeServer) -> None:
    lines = "Traceback (most recent call last):\n  File ...\nModuleNotFoundError: No module named 'ctypes'\n"
    server.answers += [(200, finished("", code=1, stderr=lines))]
    outcome = script(sandbox, "print(1)")

    assert outcome.ending is Ending.BROKEN
    assert outcome.error.endswith(": ModuleNotFoundError: No module named 'ctypes'")


@pytest.mark.parametrize(("probe", "ending"), [("quick\n", Ending.TIME_LIMIT), ("slow\n", Ending.STALLED)])
def test_the_servers_own_time_limit_counts_unless_the_server_is_slow(
    sandbox: Sandbox, server: FakeServer, probe: str, ending: Ending
) -> None:
    server.answers += [(200, finished("", status="TimeLimitExceeded")), (200, finished(probe))]

    assert script(sandbox, "print(1)").ending is ending


@pytest.mark.parametrize("stdout", ["42\n", "-- {} --", '{"ended": 0}'])
def test_output_that_is_no_report_is_no_success(sandbox: Sandbox, server: FakeServer, stdout: str) -> None:
    server.answers += [(200, finished(stdout))]

    assert script(sandbox, "print(1)").ending is Ending.ERROR


def test_an_answer_without_end_is_cut(sandbox: Sandbox, server: FakeServer) -> None:
    server.answers += [(200, finished("x" * (1 << 24)))]

    assert script(sandbox, "print(1)").ending is Ending.OUTPUT_LIMIT


def test_several_threads(sandbox: Sandbox) -> None:
    outcomes: dict[int, bytes] = {}

    def one(number: int) -> None:
        outcomes[number] = script(sandbox, "print(int(input()))", str(number)).stdout

    threads = [threading.Thread(target=one, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert outcomes == {number: f"{number}\n".encode() for number in range(4)}


def test_the_code_verifier_judges_with_a_server_and_sends_nothing_that_is_expected(server: FakeServer) -> None:
    verifier = CodeVerifier(mode="whole", isolation=f"fusion:{server.address}")
    server.requests.clear()
    reference = {"tests": [f"assert f('a') == {SECRET!r}"]}
    right, wrong = verifier.verify(
        [f"def f(x):\n    return {SECRET[:5]!r} + {SECRET[5:]!r}", "def f(x):\n    return x"], [reference] * 2
    )

    assert (right.correct, wrong.correct) == (True, False)
    assert (right.details["isolation"], right.details["trust"]) == ("fusion", "values")
    assert server.requests and SECRET not in str(server.requests)


def test_a_server_that_fails_in_the_middle_masks_the_row(server: FakeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("verifiers.sandbox.fusion_http.PAUSES_S", (0.0, 0.0))
    verifier = CodeVerifier(mode="whole", isolation=f"fusion:{server.address}")
    server.answers += [(500, b"gone")] * 3
    (verdict,) = verifier.verify(["def f(x):\n    return x"], [{"tests": ["assert f(1) == 2"]}])

    assert (verdict.correct, verdict.status.value) == (None, "error")
    assert "HTTP 500" in verdict.reason
