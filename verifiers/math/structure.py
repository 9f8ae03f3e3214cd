"""Parses the structure of an answer: lists, tuples, sets, intervals, inequalities, matrices, units. Nothing is
evaluated here.
"""

from __future__ import annotations

import itertools
import re

_OPEN, _CLOSE = "([{", ")]}"
_SEPARATORS = re.compile(
    r"\\q?quad\b|\\\\|\\text\s*\{\s*(?:and|or|,)\s*\}|(?<![A-Za-z\\])(?:and|or)(?![A-Za-z])|[,;，；、]|\\land\b|\\lor\b"
)
_MATRIX = re.compile(
    r"\\begin\{(?P<kind>[pbvB]?matrix|smallmatrix|array|cases|aligned)\}(?:\{[lcr|]*\})?(?P<body>.*?)\\end\{(?P=kind)\}",
    re.DOTALL,
)
_SPACED_ROWS = re.compile(r"\[\s*([^\[\],;]+(?:;[^\[\],;]+)+)\]")
_SYSTEM = re.compile(r"\\?\{\s*(?=\\begin)")
_CASE = re.compile(r"^(?:\\text\s*\{\s*)?(?:if|when|for|where)\b\s*\}?\s*|\s*[,;.]$")
_NESTED = re.compile(r"\[\s*((?:\[[^\[\]]{1,500}\]\s*,?\s*){1,20})\]")
_BARE_SIGN = re.compile(r"\\(?:pm|mp)(?![a-z])")
_RELATION = re.compile(
    r"\\leqslant|\\geqslant|\\leq|\\geq|\\le(?![a-z])|\\ge(?![a-z])|\\lt(?![a-z])|\\gt(?![a-z])|\\neq?(?![a-z])|<=|>=|!=|<|>"
)
_EQUALS = re.compile(r"(?<![<>!])=(?!=)|\\equiv(?![a-z])")
_APPROXIMATELY = re.compile(r"\\approx(?![a-z])|\\simeq|\\doteq|\\sim(?![a-z])|≈")
_SIGNS = {"<": "<", ">": ">", "<=": "<=", ">=": ">=", "!=": "!="} | {
    "\\leqslant": "<=",
    "\\geqslant": ">=",
    "\\leq": "<=",
    "\\geq": ">=",
    "\\le": "<=",
    "\\ge": ">=",
    "\\lt": "<",
    "\\gt": ">",
    "\\ne": "!=",
    "\\neq": "!=",
}


def brackets_match(text: str) -> bool:
    """Whether every bracket is closed by one of some kind: [0, 1) counts."""
    depth = 0
    for sign in _brackets(text):
        depth += 1 if sign in _OPEN else -1
        if depth < 0:
            return False
    return depth == 0


def _brackets(text: str) -> list[str]:
    return [sign for sign in text if sign in _OPEN or sign in _CLOSE]


def split_outside(text: str, pattern: re.Pattern[str]) -> list[str]:
    """Cut where `pattern` matches outside all brackets. One pass."""
    cuts = list(pattern.finditer(text))
    if not cuts:
        return [text]
    depths = []
    depth = 0
    for sign in text[: cuts[-1].start() + 1]:
        if sign in _OPEN:
            depth += 1
        depths.append(depth)
        if sign in _CLOSE:
            depth -= 1
    parts, start = [], 0
    for match in cuts:
        if depths[match.start()] == 0 and match.start() >= start:
            parts.append(text[start : match.start()])
            start = match.end()
    return [*parts, text[start:]]


def split_list(text: str) -> list[str]:
    """The members of a bare list: parted by commas, semicolons, "and", "or", line breaks. Empty ones are dropped."""
    if "\\begin" in text:
        return [text]
    return [part for raw in split_outside(text, _SEPARATORS) if (part := raw.strip().strip("$").strip())]


def unwrap_set(text: str) -> str | None:
    """The inside of {...} or \\{...\\}; None if the text is not a set."""
    body = text.strip()
    for opening, closing in (("\\{", "\\}"), ("{", "}"), ("\\lbrace", "\\rbrace")):
        if body.startswith(opening) and body.endswith(closing) and len(body) >= len(opening) + len(closing):
            inside = body[len(opening) : len(body) - len(closing)]
            if brackets_match(inside) and "{" + "}" not in inside:
                return inside
    return None


def unwrap_tuple(text: str) -> tuple[str, list[str], str] | None:
    """Opening bracket, at least two members, closing bracket of (a, b), [a, b) and so on; None if the text is none."""
    body = text.strip()
    if len(body) < 5 or body[0] not in "([" or body[-1] not in ")]":
        return None
    depth = 0
    for place, sign in enumerate(body):
        if sign in _OPEN:
            depth += 1
        elif sign in _CLOSE:
            depth -= 1
            if depth == 0 and place < len(body) - 1:
                return None
    if depth != 0:
        return None
    members = [part.strip() for part in split_outside(body[1:-1], re.compile(r"[,;，]"))]
    return (body[0], members, body[-1]) if len(members) > 1 and all(members) else None


def unwrap_group(text: str) -> str | None:
    """The inside of brackets around the whole text that hold no list: (3/2)."""
    body = text.strip()
    if len(body) < 3 or body[0] + body[-1] not in ("()", "[]", "{}"):
        return None
    inside = body[1:-1]
    return inside.strip() if brackets_match(inside) and "," not in inside else None


def matrix_rows(text: str) -> list[list[str]] | None:
    """Rows of the one matrix that the text is, factors in front of it excepted; None if it is none."""
    if nested := _NESTED.fullmatch(text.strip()):
        return [[cell.strip() for cell in row.split(",")] for row in re.findall(r"\[([^\[\]]*)\]", nested[1])]
    if (spaced := _SPACED_ROWS.fullmatch(text.strip())) and all(" " in row.strip() for row in spaced[1].split(";")):
        return [row.split() for row in spaced[1].split(";")]
    body = text.strip()
    if body[:1] + body[-1:] in ("()", "[]") and body[1:].lstrip().startswith("\\begin"):
        body = body[1:-1].strip()
    if body.startswith(("\\{", "{")) and (system := _SYSTEM.match(body)):  # \\left\\{ ... \\right.
        body = body[system.end() :].removesuffix(".").rstrip()
    match = _MATRIX.fullmatch(body)
    if match is None or "\\begin" in match["body"]:
        return None
    body = match["body"].strip()
    body = body.replace("\\\\\\\\", "\\\\")
    rows = [row for row in re.split(r"\\\\(?:\[[^\]]*\])?", body) if row.strip()]
    if match["kind"] == "cases" and "&" not in body:  # 1, if n = 1
        return [[cell.strip() for cell in row.strip().rstrip(",;.").split(",", 1)] for row in rows]
    return [[_CASE.sub("", cell.strip()) for cell in row.split("&")] for row in rows]


def plus_minus(text: str) -> list[str]:
    """All readings of an answer with \\pm, the upper signs first; the text alone if it has none. Signs are taken
    together, but for those of a tuple without \\mp, whose members are independent: (\\pm 3, \\pm 4) are four points.
    """
    if "+/-" in text:
        text = text.replace("+/-", "\\pm ")
    if not _BARE_SIGN.search(text):
        return [text]
    if "\\mp" not in text and 1 < text.count("\\pm") <= 4 and (pack := unwrap_tuple(text)):
        readings = itertools.product(*(plus_minus(member) for member in pack[1]))
        return [f"{pack[0]}{', '.join(reading)}{pack[2]}" for reading in readings]
    upper = text.replace("\\pm", "+").replace("\\mp", "-")
    lower = text.replace("\\pm", "-").replace("\\mp", "+")
    return [upper, lower]


def sides(text: str) -> list[str]:
    """The sides of the equals signs outside brackets and matrices."""
    before, begin, body = text.partition("\\begin")
    *first, last = split_outside(before, _EQUALS)
    return [side.strip() for side in (*first, last + begin + body)]


def approximate_sides(text: str) -> list[str]:
    """The sides of the approximate-equals signs."""
    return [side.strip() for side in split_outside(text, _APPROXIMATELY)]


def relation_parts(text: str) -> tuple[list[str], list[str]] | None:
    """Terms and signs of a chain of inequalities a < b <= c; None if there is none."""
    signs = [_SIGNS[match.group()] for match in _RELATION.finditer(text)]
    if not signs:
        return None
    terms = [term.strip() for term in _RELATION.split(text)]
    return (terms, signs) if all(terms) and len(terms) == len(signs) + 1 else None
