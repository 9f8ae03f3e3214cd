"""Is this answer the reference? Layers, cheap first; each decides or passes the pair on, and says why.

    compound     3 hours 20 minutes and 200 minutes; 5 m and 5 kg
    text         the same letters once look-alikes, spacing and wrappers are gone
    number       exact decimals, fractions, percent, of any length
    choice       D, and "(D) 24"
    labelled     "14 chickens and 6 rabbits", "x = 3, y = 8": values by their labels
    words        plain words
    sentence     "The largest n is 34"
    matrix       cell by cell
    real set     intervals, unions, inequalities, set-builders
    numeral      digits with a base, times of day
    conditioned  2^{n-1} for n >= 2
    list         members in any order; tuples member by member
    equation     x = 5 and 5; two equations that say the same
    expression   exact rational arithmetic, or values at random points (`numeric`)

What is left (None) goes to sympy in a worker process (`algebra`). All of this is bounded: texts, nesting and numbers
have limits, and nothing is simplified or expanded, so it runs in the caller's own process.
"""

from __future__ import annotations

from verifiers.math.guards import UNEVALUATED, calculation, conflict_of, contradiction, not_for_algebra
from verifiers.math.layers.choices import choice
from verifiers.math.layers.conditions import conditioned
from verifiers.math.layers.equations import equation
from verifiers.math.layers.expressions import expression
from verifiers.math.layers.labelled import labelled
from verifiers.math.layers.members import matrix, members
from verifiers.math.layers.numbers import number
from verifiers.math.layers.numerals import numeral
from verifiers.math.layers.pair import Comparison, Layer, Pair
from verifiers.math.layers.preparation import MAX_CHARS, forms
from verifiers.math.layers.quantities import compound
from verifiers.math.layers.real_sets import real_set
from verifiers.math.layers.words import prose, same_text, sentence, unlike, words
from verifiers.math.policy import MathPolicy

LAYERS: tuple[Layer, ...] = (
    compound,
    same_text,
    number,
    choice,
    labelled,
    words,
    sentence,
    matrix,
    real_set,
    numeral,
    conditioned,
    members,
    equation,
    expression,
    unlike,
    prose,
)
DEFAULT_POLICY = MathPolicy()
SETTLED = frozenset(
    {
        "decimal",
        "rational",
        "base",
        "probing",
        "magnitude",
        "undefined",
        "proportional equations",
        "quantity",
        "units",
        "time of day",
    }
)
"""What says "unequal" with these says it the other way round as well: they compare values, and no words."""
FOR_LONG: tuple[Layer, ...] = (same_text, number)

__all__ = ["LAYERS", "UNEVALUATED", "Comparison", "compare", "explain"]


def compare(answer: str, gold: str, policy: MathPolicy | None = None) -> Comparison | None:
    """Whether `answer` is `gold`. None if only algebra in a worker process can tell."""
    pair = _pair(answer, gold, policy)
    if (refused := contradiction(answer, gold, pair)) is not None:
        return refused
    if (refused := calculation(pair)) is not None:
        return refused
    comparison = _both_ways(pair, _decide(pair))
    if comparison is None:
        return not_for_algebra(answer, gold, pair)
    return (conflict_of(answer, gold, pair, comparison) if comparison.equal else None) or comparison


def _both_ways(pair: Pair, comparison: Comparison | None) -> Comparison | None:
    """Equality has no direction: what does not come out equal is asked the other way round, less what is read into an
    answer alone.
    """
    if comparison and (comparison.equal or comparison.method in SETTLED):
        return comparison
    words = pair.gold_words, pair.answer_words
    back = _decide(Pair(pair.gold, pair.answer, pair.policy.both_ways(), _decide, words=words))
    return back if back and back.equal else comparison or back


def explain(answer: str, gold: str, policy: MathPolicy | None = None) -> list[tuple[str, Comparison | None]]:
    """What each layer says, by its name, up to the one that decides."""
    pair = _pair(answer, gold, policy)
    layer_results: list[tuple[str, Comparison | None]] = []
    for layer in LAYERS:
        layer_results.append((layer.__name__.replace("_", " "), layer(pair)))
        if layer_results[-1][1] is not None:
            break
    return layer_results


def _pair(answer: str, gold: str, policy: MathPolicy | None) -> Pair:
    (prepared_answer, answer_words), (prepared_gold, gold_words) = forms(answer), forms(gold)
    words = answer_words, gold_words
    return Pair(prepared_answer, prepared_gold, policy or DEFAULT_POLICY, _decide, words=words)


def _decide(pair: Pair) -> Comparison | None:
    longest = max(len(pair.answer), len(pair.gold))
    for layer in LAYERS if longest <= MAX_CHARS else FOR_LONG:
        comparison = layer(pair)
        if comparison is not None:
            return comparison
    return (
        None
        if longest <= MAX_CHARS
        else Comparison(False, "text", f"{longest} characters are compared as a text or a number alone")
    )
