"""Choices of a multiple-choice question, and answers that are words."""

from __future__ import annotations

from random import Random

from tests.verifiers.metamorphic.case import Response, family

LETTERS = "ABCDE"
WORDS = {"east": ("west", "seat"), "odd": ("even",), "no": ("yes",), "Tuesday": ("Thursday",), "Evelyn": ("Evan",)}


def _other(letter: str, rng: Random) -> str:
    return rng.choice([other for other in LETTERS if other != letter])


choice = family("choice", lambda rng: rng.choice(LETTERS), str, "choice one")


@choice.keeps
def choice_in_another_spelling(letter: str, rng: Random) -> str:
    return rng.choice(["({})", "{})", "{}.", "\\text{{{}}}", "\\textbf{{({})}}", "\\mathrm{{({})}}", "**{}**"]).format(
        letter
    )


@choice.keeps
def choice_with_its_noun(letter: str, rng: Random) -> str:
    return rng.choice(["Option {}", "option ({})", "Choice {}"]).format(letter)


@choice.keeps
def choice_with_its_text(letter: str, rng: Random) -> str:
    text = rng.choice(["The pressure rises", "Both of them", "17 meters", "It depends on the mass"])
    return rng.choice(["{}. {}", "({}) {}", "{}) {}", "{}: {}"]).format(letter, text)


@choice.keeps
def others_are_denied(letter: str, rng: Random) -> str:
    one, two = rng.sample([other for other in LETTERS if other != letter], 2)
    return Response(
        rng.choice(
            [
                f"The answer is for sure {letter}, it can't be {one} or {two}.",
                f"Answer: {letter}. Not {one} because the mass is fixed.",
                f"The answer is {letter}, not {one}.",
                f"The correct option is {letter}, since {one} and {two} break the law of Hooke.\n\nAnswer: {letter}",
                f"It cannot be {one} or {two}, so the answer is ({letter}).",
                f"The answer is ({letter}), because {one} is too small.",
            ]
        )
    )


@choice.keeps
def formula_boxed_before_it(letter: str, rng: Random) -> str:
    formula = rng.choice(["E_n = 3", "\\langle E\\rangle \\ll k_B T", "v = 12", "x^2 + 1"])
    return Response(f"The condition is \\boxed{{{formula}}}, which only one option states.\n\nAnswer: {letter}")


@choice.changes
def another_letter(letter: str, rng: Random) -> str:
    return rng.choice(["{}", "({})", "\\text{{{}}}", "\\textbf{{({})}}"]).format(_other(letter, rng))


@choice.changes
def two_letters(letter: str, rng: Random) -> str:
    pair = [letter, _other(letter, rng)]
    rng.shuffle(pair)
    return rng.choice(["{}, {}", "{} or {}", "{} and {}", "{}{}", "({}) or ({})", "{}/{}"]).format(*pair)


@choice.changes
def every_letter(letter: str, rng: Random) -> str:
    return rng.choice(["A, B, C, D, E", "ABCDE", "A or B or C or D or E", "any of A-E", "not " + letter])


@choice.changes
def choices_considered(letter: str, rng: Random) -> str:
    others = [letter, _other(letter, rng)]
    rng.shuffle(others)
    return Response(
        rng.choice(
            [
                "It could be {} or {}.",
                "The answer is one of {} and {}.",
                "Answer: {} or {}",
                "{} and {} remain.",
                "Answer: {}? {}?",
            ]
        ).format(*others)
    )


@choice.changes
def another_letter_after_a_boxed_formula(letter: str, rng: Random) -> str:
    return Response(
        f"The condition is \\boxed{{v = 12}}, which only one option states.\n\nAnswer: {_other(letter, rng)}"
    )


Numbered = tuple[str, int]
numbered = family(
    "choice with its value",
    lambda rng: (rng.choice(LETTERS), rng.randint(2, 400)),
    lambda c: f"\\textbf{{({c[0]})}}\\ {c[1]}",
    "one",
)


@numbered.keeps
def letter_or_value(c: Numbered, rng: Random) -> str:
    return rng.choice(["{0}", "({0})", "{1}", "\\textbf{{({0})}}", "\\text{{{0}}}"]).format(*c)


@numbered.keeps
def both_in_another_spelling(c: Numbered, rng: Random) -> str:
    return rng.choice(["({0}) {1}", "{0}) {1}", "({0})\\ {1}", "\\textbf{{({0}) }} {1}", "\\text{{({0})}} {1}"]).format(
        *c
    )


@numbered.changes
def right_letter_with_another_value(c: Numbered, rng: Random) -> str:
    return rng.choice(["({}) {}", "\\textbf{{({})}}\\ {}", "{}) {}"]).format(c[0], c[1] + 1)


@numbered.changes
def another_letter_with_the_right_value(c: Numbered, rng: Random) -> str:
    return rng.choice(["({}) {}", "\\textbf{{({})}}\\ {}", "{}) {}"]).format(_other(c[0], rng), c[1])


@numbered.changes
def another_letter_or_value(c: Numbered, rng: Random) -> str:
    return rng.choice([_other(c[0], rng), str(c[1] + 1), f"({_other(c[0], rng)})", f"-{c[1]}"])


word = family("word", lambda rng: rng.choice(list(WORDS)), lambda w: f"\\text{{{w}}}", "one")


@word.keeps
def word_alone(w: str, rng: Random) -> str:
    return rng.choice([w, w.capitalize(), f"\\textbf{{{w}}}", f"\\mathrm{{{w}}}"])


@word.changes
def another_word(w: str, rng: Random) -> str:
    other = rng.choice(WORDS[w])
    return rng.choice([other, f"\\text{{{other}}}", f"not {w}", f"{w} or {other}", f"{other}, not {w}"])


infinite = family("infinite count", lambda rng: None, lambda _: "\\infty", "one")


@infinite.keeps
def infinitely_many(_: None, rng: Random) -> str:
    return rng.choice(["infinitely many", "\\text{infinitely many}", "∞", "infinite", "+\\infty"])


@infinite.changes
def not_infinitely_many(_: None, rng: Random) -> str:
    return rng.choice(["finitely many", "-\\infty", "0", "1000000", "many"])
