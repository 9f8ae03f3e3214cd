"""What mode `whole` reads into a response that is a number and goes on: the model did not stop where it should have.

Words behind the number are left out of account: "19 apples", "19 Smaller than". Words behind a comma or a semicolon,
and a number in words in a bracket, are not: that may be a second answer, and the prompt asked for the bare one. In the
other modes the answer is marked, so that a clause behind it explains it ("84, which is the total"); see `wording`.
"""

from __future__ import annotations

import re

from verifiers.math.layers.pair import Comparison
from verifiers.math.normalise import rational

_GOES_ON = re.compile(r"\s*(?P<number>[+-]?\d+(?:\.\d+)?)(?P<tail>(?:\s+[^\W\d_]|\s*[,;(]).*)", re.DOTALL)
_NUMBER = re.compile(r"[+-]?\d+(?:\.\d+)?")
_STOPS = re.compile(r"[,;]\s*[^\W\d_]|\(\s*(?:one|two|three|four|five|six|seven|eight|nine|ten)\b", re.IGNORECASE)
_OTHER = re.compile(
    r"[\d=+*/^<>%$\\{}]|\b(?:or|not|wrong|incorrect|minus|plus|times|hundred|thousand|million)\b", re.IGNORECASE
)


def number_and_words(answer: str, gold: str) -> Comparison | None:
    """Whether a response that begins with a number and goes on in words is the reference, a plain number; None if that
    is not what they are.
    """
    match = _GOES_ON.fullmatch(answer)
    if match is None or not _NUMBER.fullmatch(gold.strip()):
        return None
    tail = match["tail"]
    if not re.search(r"[^\W\d_]{2}", tail):
        return None
    if _STOPS.search(tail):
        return Comparison(False, "goes on", "more than the bare answer")
    if _OTHER.search(tail):
        return None
    return Comparison(rational(match["number"]) == rational(gold), "number and words")
