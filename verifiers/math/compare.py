"""Is this answer the reference? Layers, cheap first; each decides or passes the pair on, and says why.

    text         the same letters once look-alikes, spacing and wrappers are gone
    number       exact decimals, fractions, percent, of any length
    words        plain words, choices
    sentence     "The largest n is 34"
    matrix       cell by cell
    real set     intervals, unions, inequalities, set-builders
    numeral      digits with a base, times of day
    list         members in any order; tuples member by member
    equation     x = 5 and 5; two equations that say the same
    expression   exact rational arithmetic, or values at random points (`numeric`)

What is left (None) goes to sympy in a worker process (`algebra`). All of this is bounded: texts, nesting and numbers
have limits, and nothing is simplified or expanded, so it runs in the caller's own process.
"""

from __future__ import annotations

from verifiers.math.layers.equations import equation
from verifiers.math.layers.expressions import expression
from verifiers.math.layers.members import matrix, members
from verifiers.math.layers.numbers import number
from verifiers.math.layers.numerals import numeral
from verifiers.math.layers.pair import Comparison, Layer, Pair
from verifiers.math.layers.preparation import MAX_CHARS, prepared
from verifiers.math.layers.real_sets import real_set
from verifiers.math.layers.words import same_text, sentence, unlike, words
from verifiers.math.policy import MathPolicy
from verifiers.math.units import conflict

LAYERS: tuple[Layer, ...] = (
    same_text,
    number,
    words,
    sentence,
    matrix,
    real_set,
    numeral,
    members,
    equation,
    expression,
    unlike,
)
SETTLED = frozenset({"decimal", "rational"})
"""What says "unequal" with these says it the other way round as well."""
FOR_LONG: tuple[Layer, ...] = (same_text, number)

__all__ = ["LAYERS", "Comparison", "compare", "explain"]


def compare(answer: str, gold: str, policy: MathPolicy | None = None) -> Comparison | None:
    """Whether `answer` is `gold`. None if only algebra in a worker process can tell."""
    pair = _pair(answer, gold, policy)
    made = _both_ways(pair, _decide(pair))
    if made is not None and made.equal and (units := conflict(answer, gold)):
        return Comparison(False, "units", units)
    return made


def _both_ways(pair: Pair, made: Comparison | None) -> Comparison | None:
    """Equality has no direction: what does not come out equal is asked the other way round, less what is read into an
    answer alone.
    """
    if made and (made.equal or made.method in SETTLED):
        return made
    back = _decide(Pair(pair.gold, pair.answer, pair.policy.both_ways(), _decide))
    return back if back and back.equal else made or back


def explain(answer: str, gold: str, policy: MathPolicy | None = None) -> list[tuple[str, Comparison | None]]:
    """What each layer says, by its name, up to the one that decides."""
    pair = _pair(answer, gold, policy)
    said: list[tuple[str, Comparison | None]] = []
    for layer in LAYERS:
        said.append((layer.__name__.replace("_", " "), layer(pair)))
        if said[-1][1] is not None:
            break
    return said


def _pair(answer: str, gold: str, policy: MathPolicy | None) -> Pair:
    return Pair(prepared(answer), prepared(gold), policy or MathPolicy(), _decide)


def _decide(pair: Pair) -> Comparison | None:
    longest = max(len(pair.answer), len(pair.gold))
    for layer in LAYERS if longest <= MAX_CHARS else FOR_LONG:
        decided = layer(pair)
        if decided is not None:
            return decided
    return (
        None
        if longest <= MAX_CHARS
        else Comparison(False, "text", f"{longest} characters are compared as a text or a number alone")
    )
