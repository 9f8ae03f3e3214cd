"""The layer that only limits resources: never taken by itself, and tidy."""

from __future__ import annotations

import glob
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.verifiers.sandbox.arena import descendants
from tests.verifiers.sandbox.test_attacks_unprivileged import UID, _copy_packages, _python
from verifiers.code.verifier import CodeVerifier
from verifiers.sandbox import Call, Ending, Limits, Outcome, SandboxUnavailable, Stdin, choice, open_sandbox, rlimits
from verifiers.sandbox.inside.folder import free_uid, remove_tree
from verifiers.sandbox.local import LocalSandbox

pytestmark = pytest.mark.filterwarnings("ignore:isolation. rlimits only limits resources")

IS_ROOT = os.getuid() == 0


@pytest.fixture(scope="module")
def sandbox() -> Iterator[LocalSandbox]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        opened = open_sandbox("rlimits", workers=2)
    assert isinstance(opened, LocalSandbox)
    yield opened
    opened.close()


def script(sandbox: LocalSandbox, program: str, stdin: str = "", limits: Limits | None = None) -> Outcome:
    (outcome,) = sandbox.run(program, [Stdin(stdin)], limits or Limits(wall_factor=10))
    return outcome


def folders() -> set[str]:
    return set(glob.glob(os.path.join(tempfile.gettempdir(), "reasonrl-programs-*")))


def gone(processes: set[int]) -> bool:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        if not any(os.path.exists(f"/proc/{process}") for process in processes):
            return True
        time.sleep(0.02)
    return False


def test_it_is_never_taken_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    tried = []
    monkeypatch.setattr(choice, "problem_of", lambda name, python: tried.append(name) or "not here")

    with pytest.raises(SandboxUnavailable, match="no isolation works on this machine, so no program is run"):
        open_sandbox()
    assert tried == ["bubblewrap", "namespaces"]


def test_a_warning_says_once_what_it_does_not_protect_against() -> None:
    rlimits.warn_once.cache_clear()
    with pytest.warns(UserWarning, match="rlimits only limits resources. A program of the model can read and write"):
        open_sandbox("rlimits")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        open_sandbox("rlimits")


def test_every_verdict_names_it() -> None:
    verifier = CodeVerifier(mode="whole", isolation="rlimits")
    right, unread = verifier.verify(["def f(x):\n    return x", " "], [{"tests": ["assert f(1) == 1"]}] * 2)
    verifier.close()

    assert (right.correct, right.details["isolation"], unread.details["isolation"]) == (True, "rlimits", "rlimits")


@pytest.mark.parametrize(
    ("program", "stdin", "ending", "stdout", "error"),
    [
        ("print(int(input()) * 2)", "21", Ending.FINISHED, b"42\n", ""),
        ("print(1)\n1 / 0", "", Ending.ERROR, b"1\n", "ZeroDivisionError: division by zero"),
        ("import os\nos.abort()", "", Ending.ERROR, b"", "killed by SIGABRT"),
        ("x = bytearray(3 << 30)", "", Ending.MEMORY_LIMIT, b"", "more than 1024 MB of memory"),
        ("open('x', 'wb').write(bytes(40 << 20))", "", Ending.ERROR, b"", "OSError: [Errno 27] File too large"),
        ("x = [open('/dev/null') for _ in range(99)]", "", Ending.ERROR, b"", "OSError: [Errno 24]"),
        ("import signal\nsignal.raise_signal(signal.SIGKILL)", "", Ending.ERROR, b"", "killed by SIGKILL"),
    ],
)
def test_scripts(sandbox: LocalSandbox, program: str, stdin: str, ending: Ending, stdout: bytes, error: str) -> None:
    outcome = script(sandbox, program, stdin)

    assert (outcome.ending, outcome.stdout) == (ending, stdout)
    assert outcome.error.startswith(error) and bool(outcome.error) == bool(error)


def test_calls_and_test_text(sandbox: LocalSandbox) -> None:
    program = "seen = []\ndef f(x):\n    seen.append(x)\n    return seen"
    outcomes = list(sandbox.run(program, [Call("f", (x,)) for x in range(3)]))

    assert [outcome.value for outcome in outcomes] == [[0], [1], [2]]
    assert [sandbox.run_tests("assert f(1) == [1]", ["f"], program).value for _ in range(20)] == [True] * 20
    assert sandbox.run_tests("assert f(1) == [2]", ["f"], program).exception == "AssertionError"
    assert sandbox.run_shared("assert f(1) == [1]", program).value is True


def test_output_and_time_are_limited(sandbox: LocalSandbox) -> None:
    flood = script(sandbox, "while True:\n    print('x' * 1000)", limits=Limits(output_bytes=5000))
    sleeper = script(sandbox, "import time\ntime.sleep(60)", limits=Limits(cpu_s=0.3, wall_factor=1.0))

    assert (flood.ending, len(flood.stdout)) == (Ending.OUTPUT_LIMIT, 5000)
    assert sleeper.ending is Ending.TIME_LIMIT


def test_the_time_of_other_processes_is_not_the_programs(sandbox: LocalSandbox) -> None:
    script(sandbox, "")
    others = [subprocess.Popen([sys.executable, "-S", "-c", "while True: pass"]) for _ in range(2)]
    try:
        outcome = script(sandbox, "import time\ntime.sleep(1)\nprint(1)", limits=Limits(cpu_s=0.9, wall_factor=30))
    finally:
        for other in others:
            other.kill()
            other.wait()

    assert (outcome.ending, outcome.stdout) == (Ending.FINISHED, b"1\n")


def test_the_environment_is_not_the_callers(sandbox: LocalSandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OF_THE_CALLER", "secret")
    names = script(sandbox, "import os\nprint(*sorted(os.environ))").stdout

    assert names == b"HOME LANG PATH TMPDIR\n"


FILLS = """
import os
os.makedirs("a/b")
open("a/b/file", "w").write("x")
os.symlink({canary!r}, "link")
os.symlink({folder!r}, "a/folder")
for _ in range(60):
    os.mkdir("deep")
    os.chdir("deep")
os.chdir(os.environ["TMPDIR"])
os.chmod("a/b", 0)
os.chmod("a", 0)
print(os.listdir("."))
"""


def test_the_folder_is_emptied_between_programs_and_no_link_is_followed(sandbox: LocalSandbox, tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    canary.write_text("alive")
    tmp_path.chmod(0o777)
    first = script(sandbox, FILLS.format(canary=str(canary), folder=str(tmp_path)))
    second = script(sandbox, "import os\nprint(os.listdir('.'))")

    assert b"link" in first.stdout, first
    assert second.stdout == b"[]\n"
    assert canary.read_text() == "alive"


def test_the_folder_goes_with_the_sandbox() -> None:
    before = folders()
    opened = open_sandbox("rlimits")
    script(opened, "open('x', 'w').write('x')")  # type: ignore[arg-type]
    assert len(folders() - before) == 1
    opened.close()

    assert folders() <= before


@pytest.mark.parametrize(
    "program",
    [
        "import os, time\nfor _ in range(5):\n    if os.fork() == 0:\n        os.setsid()\n        time.sleep(60)",
        "import os, time\nif os.fork() == 0:\n    os.setsid()\n    if os.fork() == 0:\n        time.sleep(60)",
        "import os, time\nif os.fork() == 0:\n    os.setpgid(0, 0)\n    time.sleep(60)",
        "import os\nfor _ in range(6):\n    os.fork()\nwhile os.getpid() % 7:\n    pass",
        "import threading, time\nthreading.Thread(target=time.sleep, args=(60,), daemon=True).start()",
    ],
)
def test_no_process_is_left(sandbox: LocalSandbox, program: str) -> None:
    script(sandbox, "")
    idle = {process for cell in sandbox.pids for process in descendants(cell)}
    script(sandbox, program, limits=Limits(cpu_s=1, wall_factor=2))

    assert {process for cell in sandbox.pids for process in descendants(cell)} == idle


def test_processes_are_counted(sandbox: LocalSandbox) -> None:
    program = """
import os, time
started = 0
try:
    for _ in range(100):
        if os.fork() == 0:
            time.sleep(60)
        started += 1
except BlockingIOError:
    print(started)
"""
    outcome = script(sandbox, program, limits=Limits(processes=10, wall_factor=10))

    assert outcome.ending is Ending.FINISHED
    assert 0 < int(outcome.stdout) <= 10


@pytest.mark.skipif(not IS_ROOT, reason="only root can give programs a user of their own")
def test_as_root_programs_are_another_user_and_cannot_end_what_watches_them(sandbox: LocalSandbox) -> None:
    users = script(sandbox, "import os\nprint(os.getresuid(), os.getresgid(), os.getgroups())")
    killer = script(sandbox, "import os\nos.kill(os.getppid(), 9)")

    uid = int(users.stdout.split(b",")[0].strip(b"("))
    assert uid > 0
    assert users.stdout == f"{(uid,) * 3} {(uid,) * 3} []\n".encode()
    assert killer.exception == "PermissionError"


def test_inside_a_container_a_user_is_taken_that_exists_there() -> None:
    assert free_uid("0 0 4294967295\n") > 60000
    assert free_uid("0 1000 1\n1 100000 999\n") == 999
    with pytest.raises(OSError, match="programs must not run as root"):
        free_uid("0 1000 1\n")


def test_a_folder_that_cannot_be_removed_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setattr(os, "posix_spawn", lambda *args: os.fork() or os._exit(0))

    with pytest.raises(OSError, match="could not be removed"):
        remove_tree(str(tmp_path))


def test_a_supervisor_that_is_killed_is_replaced_and_takes_its_folder_along(sandbox: LocalSandbox) -> None:
    script(sandbox, "")
    before = folders()
    for process in sandbox.pids:
        os.kill(process, signal.SIGKILL)

    assert script(sandbox, "print(1)").stdout == b"1\n"
    assert len(folders()) <= len(before)


DIES = """
import os, signal, threading, time, warnings
warnings.simplefilter("ignore")
from verifiers.sandbox import Stdin, open_sandbox
sandbox = open_sandbox("rlimits")
program = "import time\\nprint(1)\\ntime.sleep(60)"
threading.Thread(target=lambda: list(sandbox.run(program, [Stdin()])), daemon=True).start()
while not sandbox.pids:
    time.sleep(0.01)
time.sleep(1)
print(*sandbox.pids, flush=True)
time.sleep(60)
"""


def test_all_ends_with_a_caller_that_is_killed() -> None:
    before = folders()
    caller = subprocess.Popen([sys.executable, "-c", DIES], stdout=subprocess.PIPE, text=True)
    assert caller.stdout is not None
    processes = {int(word) for word in caller.stdout.readline().split()}
    started = {process for one in processes for process in (one, *descendants(one))}
    caller.kill()
    caller.wait()
    caller.stdout.close()

    assert len(started) > 1
    assert gone(started)
    assert folders() <= before


UNPRIVILEGED = """
import glob, json, os, tempfile, time, warnings
warnings.simplefilter("ignore")
from verifiers.sandbox import Call, Limits, Stdin, open_sandbox
sandbox = open_sandbox("rlimits")
def run(program, **limits):
    (outcome,) = sandbox.run(program, [Stdin()], Limits(wall_factor=10, **limits))
    return [outcome.ending.value, outcome.stdout.decode()]
forks = '''
import os, time
started = 0
try:
    for _ in range(99):
        if os.fork() == 0:
            time.sleep(60)
        started += 1
except BlockingIOError:
    print(0 < started <= 12)
'''
report = {
    "user": run("import os; print(os.getuid(), os.listdir('.'))"),
    "calls": [one.value for one in sandbox.run("def f(x):\\n    return x + 1", [Call("f", (1,)), Call("f", (2,))])],
    "fills": run("import os\\nos.makedirs('a/b')\\nopen('a/b/c', 'w').close()\\nos.chmod('a/b', 0)\\nos.chmod('a', 0)"),
    "empty": run("import os; print(os.listdir('.'))"),
    "stays": run("import os, time\\nif os.fork() == 0:\\n    os.setsid()\\n    time.sleep(60)"),
    "forks": run(forks, processes=10),
    "ends its watch": run("import os, time\\nif os.fork():\\n    os.kill(os.getppid(), 9)\\ntime.sleep(60)"),
    "after": run("print(1)"),
}
sandbox.close()
def processes():
    count = 0
    for path in glob.glob("/proc/[0-9]*"):
        try:
            count += os.stat(path).st_uid == os.getuid()
        except OSError:
            pass
    return count
deadline = time.monotonic() + 10
while processes() > 1 and time.monotonic() < deadline:
    time.sleep(0.05)
report["processes"] = processes()
report["folders"] = [path for path in glob.glob(tempfile.gettempdir() + "/reasonrl-programs-*")
                     if os.stat(path).st_uid == os.getuid()]
print(json.dumps(report))
"""


@pytest.mark.skipif(not IS_ROOT, reason="whoever runs the tests is unprivileged: the other tests are these")
def test_an_unprivileged_user_has_the_same(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("for_others")
    for parent in (folder, *folder.parents):
        if parent.owner() == "root" and parent.name.startswith(("pytest", "popen", "for_others")):
            parent.chmod(0o755)
    _copy_packages(folder)
    done = subprocess.run(
        [_python(), "-B", "-c", UNPRIVILEGED],
        cwd=folder,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(folder)},
        user=UID + 1,
        group=UID + 1,
        extra_groups=[],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)

    assert report == {
        "user": ["finished", f"{UID + 1} []\n"],
        "calls": [2, 3],
        "fills": ["finished", ""],
        "empty": ["finished", "[]\n"],
        "stays": ["finished", ""],
        "forks": ["finished", "True\n"],
        "ends its watch": ["broken", ""],
        "after": ["finished", "1\n"],
        "processes": 1,
        "folders": [],
    }
