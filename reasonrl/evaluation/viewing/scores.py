"""The table of scores: the figures of each set in each folder, and the paired differences from the first folder.

Figures are those of results.json. Where it has none of a set (answers still being drawn, an evaluation on problems of
one's own), they are computed from the answers that are there.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from reasonrl import stats
from reasonrl.errors import UsageError
from reasonrl.evaluation.compare import EvaluationSet, PairedResult, paired, refuse_other_questions
from reasonrl.evaluation.results import Answer, result_of_answers
from reasonrl.evaluation.viewing.folder import LETTERS, ResultsFolder, SetName, answers_by_name, mapping_in
from reasonrl.runs.samples import SampleKey


def table_data(folders: Sequence[ResultsFolder], names: Sequence[SetName]) -> list[dict[str, Any]]:
    """One row a set: figures by folder, None where a folder has nothing of the set, and a difference from the first
    folder for each other one. With more than two folders, p-values are Holm's for all of them together.
    """
    answers = [answers_by_name(folder.answers(), names) for folder in folders]
    rows = []
    results: list[dict[str, Any]] = []
    for name in names:
        sides = [one[name] for one in answers]
        figures = [_figures(folder, name, side) for folder, side in zip(folders, sides, strict=True)]
        differences = [_difference(folders, sides, name, number) for number in range(1, len(folders))]
        results += [one for one in differences if one is not None and "p_value" in one]
        rows.append({"set": name.set, "label": name.label, "figures": figures, "differences": differences})
    if len(folders) > 2:
        for one, p_value in zip(results, stats.holm([one["p_value"] for one in results]), strict=True):
            one |= {"p_value": p_value, "is_holm": True}
    return rows


def _figures(folder: ResultsFolder, name: SetName, keys: Sequence[SampleKey]) -> dict[str, Any] | None:
    written = mapping_in(mapping_in(folder.facts(), "results") or {}, name.set)
    if written is not None:
        return _plain(written) | {"mode": _mode(folder, name, keys), "is_complete": True}
    if not keys:
        return None
    answers = [
        Answer(
            key.problem_id,
            key.correct,
            None,
            key.detail.tokens or 0,
            key.detail.is_cut_off,
            is_unparsed=key.outcome == "unparsed",
        )
        for key in keys
    ]
    computed = result_of_answers(name.label, answers, same=None, most_tokens=0).to_json()
    if any(key.detail.tokens is None for key in keys):
        computed["mean_tokens"] = None
    # How many answers are missing only the evaluation itself knows, and only it can group equal answers.
    is_complete = folder.is_finished and not folder.benchmark_facts(name.set)
    return _plain(computed | {"missing": None}) | {"mode": _mode(folder, name, keys), "is_complete": is_complete}


def _mode(folder: ResultsFolder, name: SetName, keys: Sequence[SampleKey]) -> str | None:
    if keys:
        return keys[0].mode
    sampling = mapping_in(folder.benchmark_facts(name.set) or {}, "sampling") or {}
    return "greedy" if sampling.get("temperature") == 0 else "sampled" if "temperature" in sampling else None


def _plain(figures: Mapping[str, Any]) -> dict[str, Any]:
    """The figures of the page; what is no number in a file that somebody has changed is None."""
    names = ("problems", "samples_per_problem", "answers", "unjudged", "missing", "if_unjudged_wrong")
    numbers = {name: _number(figures.get(name)) for name in (*names, "truncated", "unparsed", "mean_tokens")}
    pass_at = mapping_in(figures, "pass_at") or {}
    ks = [int(k) for k in pass_at if k.isascii() and k.isdigit()]
    best = _interval(pass_at.get(str(max(ks)))) if ks else None
    return numbers | {
        "accuracy": _interval(figures.get("accuracy")),
        "pass_at": None if best is None else best | {"k": max(ks)},
        "majority": _interval(figures.get("majority")),
    }


def _interval(value: Any) -> dict[str, float] | None:
    if not isinstance(value, Mapping):
        return None
    estimate, low, high, n = (_number(value.get(name)) for name in ("estimate", "low", "high", "n"))
    if estimate is None or low is None or high is None or n is None:
        return None
    return {"estimate": estimate, "low": low, "high": high, "n": n}


def _number(value: Any) -> float | None:
    is_number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    return value if is_number else None


def _difference(
    folders: Sequence[ResultsFolder], sides: Sequence[Sequence[SampleKey]], name: SetName, number: int
) -> dict[str, Any] | None:
    """Of one folder from the first; {"refused": why} where the two do not compare, None where one has no answers."""
    a, b = sides[0], sides[number]
    if not a or not b:
        return None
    labels = (LETTERS[0], LETTERS[number])
    try:
        facts = [folder.benchmark_facts(name.set) for folder in (folders[0], folders[number])]
        refuse_other_questions(name.set, facts[0], facts[1], labels)
        if a[0].mode != b[0].mode:
            raise UsageError(
                f"{labels[0]} has {a[0].mode} answers, but {labels[1]} has {b[0].mode} ones. Evaluate both in one way"
            )
        result = paired(name.set, a[0].mode, _evaluation_set(a), _evaluation_set(b), labels)
    except UsageError as error:
        return {"refused": str(error)}
    return _plain_difference(result)


def _evaluation_set(keys: Sequence[SampleKey]) -> EvaluationSet:
    outcomes: dict[str, list[bool | None]] = {}
    references = {key.problem_id: key.detail.reference.hex() for key in keys}
    for key in keys:
        outcomes.setdefault(key.problem_id, []).append(key.correct)
    return EvaluationSet(outcomes, references)


def _plain_difference(result: PairedResult) -> dict[str, Any]:
    difference = result.difference
    return {
        **difference.normal._asdict(),
        "p_value": difference.p_value,
        "is_mcnemar": difference.is_mcnemar,
        "is_holm": False,
        "wins": result.wins,
        "losses": result.losses,
        "ties": result.ties,
        "verdict": result.verdict,
        "only_a": len(result.only_a),
        "only_b": len(result.only_b),
        "unjudged": len(result.unjudged),
        "unjudged_answers": result.all_a.unjudged + result.all_b.unjudged,
        "bounds": list(result.difference_bounds),
    }
