"""What a kind of pages of `reasonrl view` consists of: one HTML page, and the data that its script asks for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import resources
from typing import Any, Protocol

Route = Callable[[Mapping[str, str]], Any]
"""Parameters of a request -> plain data. Raises UsageError for bad ones."""
SHARED = ("viewer.css", "viewer.js")


class Pages(Protocol):
    """What the viewer's server serves."""

    @property
    def html(self) -> bytes:
        """The page, with all its styles and scripts."""
        ...

    @property
    def routes(self) -> Mapping[str, Route]:
        """By path, such as /api/samples."""
        ...

    def check(self) -> None:
        """Read everything once. Raises UsageError for a damaged file."""
        ...


def page_html(package: str, name: str) -> bytes:
    """The page in the assets of a package, with the styles and functions that all pages share in place of the comments
    that name them.
    """
    page = resources.files(package).joinpath("assets", name).read_text(encoding="utf-8")
    for asset in SHARED:
        text = resources.files("reasonrl.runs").joinpath("assets", asset).read_text(encoding="utf-8")
        page = page.replace(f"/* {asset} */", text)
    return page.encode()
