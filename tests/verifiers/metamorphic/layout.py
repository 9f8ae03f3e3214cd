"""Other ways to set the same text: dollars, spaces, LaTeX spellings, Unicode."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import Random

Set = Callable[[str, Random], str | None]


@dataclass(frozen=True, slots=True)
class Layout:
    name: str
    set: Set
    needs: frozenset[str]


LAYOUTS: list[Layout] = []


def layout(needs: str = "math") -> Callable[[Set], Set]:
    def register(rewrite: Set) -> Set:
        LAYOUTS.append(Layout(rewrite.__name__.replace("_", " "), rewrite, frozenset(needs.split())))
        return rewrite

    return register


def _is_wrapped(text: str) -> bool:
    return text.startswith(("$", "\\(", "\\["))


@layout()
def dollars(text: str, rng: Random) -> str | None:
    return None if _is_wrapped(text) else rng.choice(["${}$", "$${}$$", "\\({}\\)", "\\[{}\\]"]).format(text)


@layout()
def dfrac(text: str, rng: Random) -> str:
    return text.replace("\\frac", rng.choice(["\\dfrac", "\\tfrac"]))


@layout()
def left_and_right(text: str, rng: Random) -> str | None:
    opened, closed = sum(map(text.count, "([")), sum(map(text.count, ")]"))
    if opened != closed or "\\(" in text or "\\[" in text or "sqrt[" in text:
        return None
    for sign in "([":
        text = text.replace(sign, f"\\left{sign}")
    for sign in ")]":
        text = text.replace(sign, f"\\right{sign}")
    return text


@layout()
def unicode_minus(text: str, rng: Random) -> str:
    return text.replace("-", "\u2212")


@layout("count")
def full_width_digits(text: str, rng: Random) -> str:
    return text.translate({ord("0") + n: 0xFF10 + n for n in range(10)})


@layout()
def spaces_around_signs(text: str, rng: Random) -> str | None:
    return None if "E+" in text else text.replace("+", " + ").replace("=", " = ")


@layout()
def display_style(text: str, rng: Random) -> str | None:
    return None if _is_wrapped(text) else f"\\displaystyle {text}"


@layout("")
def hard_space(text: str, rng: Random) -> str:
    return text.replace(" ", "\u00a0")


@layout("")
def double_space(text: str, rng: Random) -> str:
    return text.replace(" ", "  ")


@layout("")
def zero_width_space(text: str, rng: Random) -> str:
    return f"{text}\u200b"


@layout("scalar")
def unit_behind(text: str, rng: Random) -> str | None:
    unit = rng.choice(["cm", "kg", "km", "minutes", "square feet", "apples", "ways"])
    return None if _is_wrapped(text) else rng.choice(["{} \\text{{ {}}}", "{} {}"]).format(text, unit)


@layout("scalar")
def name_before(text: str, rng: Random) -> str | None:
    name = rng.choice(["n", "x", "S", "|AB|", "m + n", "a_5", "f(2)", "\\text{Area}", "P(A)"])
    return None if _is_wrapped(text) or "=" in text else f"{name} = {text}"
