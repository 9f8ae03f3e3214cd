"""The pages of results for the viewer's server."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from reasonrl.evaluation.viewing.answers import AnswerGroups
from reasonrl.evaluation.viewing.answers_page import answer_data, answers_data
from reasonrl.evaluation.viewing.facts import facts_data
from reasonrl.evaluation.viewing.folder import LETTERS, ResultsFolder, open_folders, set_names
from reasonrl.evaluation.viewing.scores import table_data
from reasonrl.runs.viewer_page import Route, page_html
from reasonrl.runs.viewer_query import known_version


class ResultsPages:
    """The pages of `reasonrl view RESULTS ...`.

    Raises:
        UsageError: a folder holds no results, or there are too many.
    """

    def __init__(self, paths: Sequence[str | Path]) -> None:
        self.folders = open_folders(paths)
        self._groups = AnswerGroups(self.folders)
        self._lock = threading.Lock()
        self._last: tuple[int, dict[str, Any]] | None = None

    @cached_property
    def html(self) -> bytes:
        return page_html("reasonrl.evaluation", "results.html")

    @property
    def routes(self) -> Mapping[str, Route]:
        return {
            "/api/results": self._results,
            "/api/answers": lambda query: answers_data(self._groups, set_names(self.folders), query),
            "/api/answer": lambda query: answer_data(self.folders, query),
        }

    def check(self) -> None:
        for folder in self.folders:
            folder.answers()

    def _results(self, query: Mapping[str, str]) -> dict[str, Any]:
        """Scores and facts; only {"version", "unchanged"} for a page that has them already."""
        version = hash(tuple(folder.version for folder in self.folders)) & 0x7FFFFFFF
        if known_version(query) == version:
            return {"version": version, "unchanged": True}
        with self._lock:
            if self._last is None or self._last[0] != version:
                self._last = (version, self._results_data())
            return self._last[1] | {"version": version}

    def _results_data(self) -> dict[str, Any]:
        names = set_names(self.folders)
        return {
            "folders": [
                _folder(letter, folder, name)
                for letter, folder, name in zip(LETTERS, self.folders, _short_names(self.folders), strict=False)
            ],
            "sets": table_data(self.folders, names),
            "facts": facts_data(self.folders),
        }


def _folder(letter: str, folder: ResultsFolder, name: str) -> dict[str, Any]:
    facts = folder.facts()
    return {
        "letter": letter,
        "name": name,
        "path": str(folder.path),
        "model": facts.get("model") if isinstance(facts.get("model"), str) else None,
        "is_finished": folder.is_finished,
        "answers": len(folder.answers()),
    }


def _short_names(folders: Sequence[ResultsFolder]) -> list[str]:
    """The last part of each path; where two have the same one, the paths as they were given."""
    names = [folder.path.resolve().name for folder in folders]
    return names if len(set(names)) == len(names) else [str(folder.path) for folder in folders]
