"""Where there is a compiler, all C files compile: the tests that need one are skipped only where there is none."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import reasonrl
from reasonrl.models.compiled import NoKernel, find_compiler, load_library

SOURCES = sorted(Path(reasonrl.__file__).parent.rglob("*.c"))
SHAPE = ("-DKEY_SIZE=64", "-DVALUE_SIZE=64", "-DQUERIES=3")


def has_compiler() -> bool:
    try:
        return bool(find_compiler())
    except NoKernel:
        return False


@pytest.mark.skipif(not has_compiler(), reason="no C compiler")
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.stem)
def test_a_source_compiles(source: Path, dtype: torch.dtype) -> None:
    assert load_library(source, dtype, *(SHAPE if source.stem == "attention" else ()))


def test_all_sources_are_tried() -> None:
    assert [path.stem for path in SOURCES] == ["attention", "layers", "log_softmax"]


@pytest.mark.skipif(not has_compiler(), reason="no C compiler")
def test_all_words_of_cc_are_the_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    path = find_compiler()[0]
    monkeypatch.setenv("CC", f"env REASONRL=1 {path}")
    assert find_compiler()[1:] == ["REASONRL=1", path]
    assert load_library(SOURCES[1], torch.float32)
    monkeypatch.setenv("CC", "no-such-compiler -O3")
    with pytest.raises(NoKernel, match="no C compiler"):
        find_compiler()
