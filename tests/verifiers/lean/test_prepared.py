"""What the bundled kernel does before its first fork. Of a text comes the same as of `lean` on a file."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.verifiers.lean.attacks import HONEST, OWN, TABLE
from tests.verifiers.lean.conftest import need_kernel
from verifiers.lean.backends import bundled
from verifiers.lean.backends.bundled import BundledKernel, library_folder
from verifiers.lean.backends.modules import CANDIDATE, Compiled
from verifiers.lean.candidate import Unusable, read_candidate
from verifiers.lean.types import LeanLimits
from verifiers.lean.verifier import LeanVerifier, statement_of

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
    "signs": "theorem «ein Satz» (π₁ : Prop) (h' : π₁) : π₁ := h'\n",
}


@pytest.fixture(scope="module")
def kernels() -> Iterator[tuple[BundledKernel, BundledKernel]]:
    """One that has imported the prelude, and one whose processes initialise Lean by themselves."""
    need_kernel()
    opened = BundledKernel(), BundledKernel(warm=False)
    assert [kernel._compiler._has_imported for kernel in opened] == [True, False]
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


def test_all_candidates_of_the_attack_table_give_what_lean_gives(kernels: tuple[BundledKernel, BundledKernel]) -> None:
    """Modules may differ in what is no theorem: the log of linters, numbers in the names of matchers, namespaces."""
    count = equal = 0
    for case in (*HONEST, *TABLE, *OWN):
        try:
            statement = statement_of({"statement": case.statement, "header": case.header})
            text = read_candidate(case.text, statement).text
        except Unusable:
            continue
        if not statement.setting:
            on_top, alone = assert_alike(kernels, statement.scope + text)
            count += 1
            equal += on_top == alone
    assert count > 80 and equal > 0.9 * count


def test_another_release_is_not_touched_inside(monkeypatch: pytest.MonkeyPatch) -> None:
    need_kernel()
    monkeypatch.setattr(bundled, "_RELEASE", "0.0.1")
    verifier = LeanVerifier(backend="bundled")
    statement = {"statement": "theorem t (p : Prop) (h : p) : p := sorry"}
    assert [verdict.correct for verdict in verifier.verify_answers(["h", "p"], [statement] * 2)] == [True, False]
    assert isinstance(verifier._backend, BundledKernel) and not verifier._backend._compiler._has_imported
    verifier.close()


_LARGE_PAGES = """
import ctypes, sys
from verifiers.lean.inside import large_pages
library = sys.argv[1]
lean = ctypes.CDLL(library, mode=ctypes.RTLD_GLOBAL)
{patch}
before = sum(1 for _ in open("/proc/self/maps"))
moved = large_pages.take_large_pages(library)
assert moved % (2 << 20) == 0
if not moved:
    assert sum(1 for _ in open("/proc/self/maps")) == before, "what was tried is taken back"
lean.lean_initialize()
print(moved)
"""


@pytest.mark.parametrize(
    "patch",
    ["", "large_pages._HUGE = 12345", "large_pages._COLLAPSE = 12345", "large_pages.mmap.PROT_EXEC = 1 << 20"],
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
