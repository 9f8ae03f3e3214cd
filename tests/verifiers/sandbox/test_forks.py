"""What makes a fork of the zygote cheap changes nothing else. And a child that fails before its program begins is the
sandbox's failure.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.verifiers.sandbox.conftest import need
from verifiers.sandbox import Ending, Stdin, bubblewrap
from verifiers.sandbox.inside.large_pages import _SIZE, _ranges
from verifiers.sandbox.interpreter import find_interpreter
from verifiers.sandbox.local import LocalSandbox
from verifiers.sandbox.runner import FOLDER, runner_files, with_bytecode

pytestmark = pytest.mark.sandbox
MB = 1 << 20

_FORKS = """
import os, resource, sys
from verifiers.sandbox.inside import large_pages, rehearsal

def faults():
    reader, writer = os.pipe()
    if os.fork() == 0:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        names = {}
        exec(compile("def f(x):\\n    return [str(y) for y in range(x)]\\n" * 20 + "a = f(9)", "p", "exec"), names)
        assert names["a"][-1] == "8"
        os.write(writer, str(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before).encode())
        os._exit(0)
    assert os.wait()[1] == 0
    return int(os.read(reader, 100))

def fewest():  # what else happens on a machine adds faults to one fork and not to the next, and never takes any
    return min(faults() for _ in range(15))

what = sys.argv[1]  # which a program's module replaces
rehearsal.rehearse()
before = fewest()
if what == "large":
    moved = sum(map(large_pages.take_large_pages, large_pages.interpreter_files()))
    assert moved % large_pages._SIZE == 0
else:
    moved = rehearsal.hand_on_file_pages()
print(moved, before, fewest())
"""


def forks(python: str, what: str) -> tuple[int, int, int]:
    """What was handed on, and the faults of a child before and after: the fewest of several children."""
    program = sys.executable if python == "own" else str(find_interpreter().path)
    done = subprocess.run(
        [program, "-B", "-c", _FORKS, what], capture_output=True, text=True, cwd=Path(__file__).parents[3], timeout=60
    )
    assert done.returncode == 0, done.stderr
    moved, before, after = map(int, done.stdout.split())
    return moved, before, after


@pytest.mark.parametrize("python", ["own", "sandbox"])
@pytest.mark.parametrize("what", ["files", "large"])
def test_a_fork_is_handed_the_pages_of_files(python: str, what: str) -> None:
    moved, before, after = forks(python, what)
    if not moved:
        pytest.skip("this kernel does not allow it, or no large page holds code alone")
    assert after < before


@pytest.mark.parametrize(
    ("places", "wanted"),
    [
        ([(4 * MB, 9 * MB, True)], [(4 * MB, 8 * MB)]),
        ([(4 * MB, 5 * MB, False), (5 * MB, 9 * MB, True)], [(4 * MB, 8 * MB)]),
        ([(5 * MB, 7 * MB, True), (7 * MB, 9 * MB, False)], [(6 * MB, 8 * MB)]),
        ([(4 * MB, 5 * MB, False), (5 * MB, 6 * MB, True), (6 * MB, 9 * MB, False)], [(4 * MB, 6 * MB)]),
        ([(3 * MB, 4 * MB, False), (5 * MB, 9 * MB, True)], [(6 * MB, 8 * MB)]),
        ([(4 * MB, 5 * MB, True), (5 * MB, 6 * MB, True)], [(4 * MB, 6 * MB)]),
        ([(5 * MB, 6 * MB, True)], []),
        ([(4 * MB, 8 * MB, False)], []),
    ],
)
def test_only_whole_large_pages_of_the_file_are_moved(
    places: list[tuple[int, int, bool]], wanted: list[tuple[int, int]]
) -> None:
    ranges = _ranges(places)
    assert ranges == wanted
    assert all(start % _SIZE == end % _SIZE == 0 for start, end in ranges)


def test_the_files_of_the_sandbox_are_compiled_already(tmp_path: Path) -> None:
    """The compiled form counts, and an interpreter of another version reads the source."""
    sources = {path.replace(FOLDER, str(tmp_path)): text.encode() for path, text in runner_files().items()}
    files = with_bytecode(sources)
    assert len(files) == 2 * len(sources)
    for path, data in files.items():
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        Path(path).write_bytes(b"raise SystemExit('the source')" if path in sources else data)

    def started(*, without: str = "") -> subprocess.CompletedProcess[str]:
        for path in tmp_path.rglob(without) if without else ():
            path.unlink()
        line = "import verifiers.sandbox.inside.zygote as z; print(z.__spec__.cached, z.main.__code__.co_filename)"
        return subprocess.run([sys.executable, "-B", "-c", line], capture_output=True, text=True, cwd=tmp_path, env={})

    done = started()
    assert done.returncode == 0, done.stderr
    assert done.stdout.split()[0].endswith(".pyc") and done.stdout.split()[1].endswith("inside/zygote.py")
    assert started(without="*.pyc").stderr.strip() == "the source"


def test_a_child_that_fails_before_the_program_begins_says_nothing_about_it() -> None:
    need("bubblewrap")
    interpreter = find_interpreter()
    settings = bubblewrap.layer_settings() | {"empty": "/no/such/folder"}
    sandbox = LocalSandbox("bubblewrap", lambda *given: bubblewrap.launch(interpreter, *given), settings, workers=1)
    (outcome,) = sandbox.run("print(1)", [Stdin()])
    sandbox.close()
    assert outcome.ending is Ending.BROKEN
    assert "ended before the program began (exit status 72)" in outcome.error
