"""What the tests of golden cases share: tensors out of a case's lists, and the comparison."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest
import torch
from torch import Tensor

from reasonrl.algorithms.batch import pad_rows
from tests.golden.files import FOLDER, Case, read_cases

TOLERANCE = 2e-7
"""Absolute. The files hold 12 decimals; some of our functions count lengths in float32."""


def cases_of(name: str, fails: Mapping[str, str] | None = None) -> Any:
    """Parametrizes a test by the cases of a file. `fails`: the cases that are known to fail, by id, with the reason."""
    parameters = []
    for case in read_cases(FOLDER / f"{name}.json"):
        reason = (fails or {}).get(case["id"])
        marks = [] if reason is None else [pytest.mark.xfail(strict=True, reason=reason)]
        parameters.append(pytest.param(case, id=case["id"], marks=marks))
    return pytest.mark.parametrize("case", parameters)


def near(values: Any, expected: Any) -> None:
    """Asserts that two tensors, lists or numbers of one shape agree."""
    values, expected = (torch.as_tensor(v, dtype=torch.float64) for v in (values, expected))
    torch.testing.assert_close(values.detach(), expected, atol=TOLERANCE, rtol=0)


def near_rows(values: Tensor, expected: Sequence[Sequence[float | bool | None]]) -> None:
    """Asserts that the rows of `values` [B, T] begin with those of `expected`, ragged; None stands for any value."""
    assert len(values) == len(expected)
    for row, expected_row in zip(values, expected, strict=True):
        places = [t for t, value in enumerate(expected_row) if value is not None]
        near(row[places], [expected_row[t] for t in places])


def reals(values: Sequence[float | None], missing: float = float("nan")) -> Tensor:
    """[n] float64; `missing` where there is no value."""
    return torch.tensor([missing if value is None else value for value in values], dtype=torch.float64)


def padded(rows: Sequence[Sequence[float]]) -> Tensor:
    """[B, T] float64."""
    return pad_rows(rows, torch.float64)


def group_of(case: Case) -> Tensor:
    """[B] ordinals of the names in `groups`."""
    names = list(dict.fromkeys(case["input"]["groups"]))
    return torch.tensor([names.index(name) for name in case["input"]["groups"]])


def rewards_of(case: Case) -> tuple[Tensor, Tensor]:
    """Rewards [B], NaN where there is none, and which rows were judged [B]."""
    rewards = reals(case["input"]["rewards"])
    return rewards, ~torch.isnan(rewards)


def settings_of(case: Case, *names: str) -> dict[str, Any]:
    """The inputs of these names that the case has; a method's defaults stand for the others."""
    return {name: case["input"][name] for name in names if name in case["input"]}
