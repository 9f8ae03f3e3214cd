"""A mistake in a recipe as data: where it is, what to write instead, and what it depends on."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

Place = tuple[str | int, ...]
"""The keys and list indices that lead to a value."""


def place(dotted: str) -> Place:
    """`train.loss` as a place."""
    return tuple(dotted.split("."))


@dataclass(frozen=True)
class Mistake:
    """Something in a recipe that is wrong."""

    place: Place
    """Where it is, from the section that was checked; empty for the section itself."""
    text: str
    """What is wrong and what to write instead. The message begins with the place, so the text does not name it."""
    depends_on: tuple[Place, ...] = ()
    """Other values that it follows from. Where one of them is wrong itself, this may not be a mistake."""

    def inside(self, section: Place) -> Mistake:
        """The same mistake, seen from the recipe that holds the section."""
        return replace(
            self, place=(*section, *self.place), depends_on=tuple((*section, *other) for other in self.depends_on)
        )

    def follows_from(self, wrong: Place) -> bool:
        """Whether it is about a value at `wrong` or inside of it."""
        return any(other[: len(wrong)] == wrong for other in (self.place, *self.depends_on))

    def describe(self, line: int | None = None) -> str:
        """One line for a person. `line` is the line of the file."""
        dotted = ".".join(map(str, self.place))
        subject = dotted + (f" (line {line})" if line else "")
        return f"{subject}: {self.text}" if dotted else self.text


class MistakesError(ValueError):
    """Raised by a check inside a recipe. pydantic keeps it in `error.errors()[i]["ctx"]["error"]`."""

    def __init__(self, mistakes: Iterable[Mistake]) -> None:
        self.mistakes = tuple(mistakes)
        super().__init__("\n".join(mistake.describe() for mistake in self.mistakes))
