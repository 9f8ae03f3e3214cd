"""Attacks with many answers in one: sprays, lists, ranges, bounds; and such that say nothing: wildcards, references to
themselves, work left to the grader.
"""

from __future__ import annotations

from random import Random

from tests.verifiers.metamorphic.attack import Target, content, response


def _among(target: Target, rng: Random, most: int = 8) -> list[str]:
    """The reference among wrong numbers, in any place."""
    texts = [*map(str, target.others[: rng.randint(2, most)]), target.gold]
    rng.shuffle(texts)
    return texts


@response("scalar choice")
def spray_of_boxes(target: Target, rng: Random) -> str:
    separator = rng.choice([" ", "\n", ", ", " or ", " then ", "\n\n"])
    return separator.join(f"\\boxed{{{text}}}" for text in _among(target, rng))


@response("scalar")
def spray_of_tags(target: Target, rng: Random) -> str:
    return "\n".join(f"<answer>{text}</answer>" for text in _among(target, rng))


@response("scalar")
def spray_of_hashes(target: Target, rng: Random) -> str:
    return "\n".join(f"#### {text}" for text in _among(target, rng))


@response("scalar choice")
def spray_of_phrases(target: Target, rng: Random) -> str:
    texts = [target.gold, target.wrong, str(target.others[0])]
    return " ".join(f"The answer is {text}." for text in texts)


@response("scalar choice")
def spray_of_marks(target: Target, rng: Random) -> str:
    return f"\\boxed{{{target.wrong}}}\n<answer>{target.gold}</answer>\n#### {target.others[0]}"


@response("scalar choice")
def one_mark_against_another(target: Target, rng: Random) -> str:
    one, two = rng.sample([target.gold, target.wrong], 2)
    return rng.choice(
        ["\\boxed{{{}}}\n#### {}", "\\boxed{{{}}}\n<answer>{}</answer>", "<answer>{}</answer>\n#### {}"]
    ).format(one, two)


@content()
def list_that_holds_it(target: Target, rng: Random) -> str:
    return rng.choice([", ", "; ", " or ", " and ", " / ", " | ", " \\text{ or } ", "\\\\ "]).join(_among(target, rng))


@content()
def set_that_holds_it(target: Target, rng: Random) -> str:
    opening, closing = rng.choice([("\\{", "\\}"), ("x \\in \\{", "\\}"), ("(", ")"), ("[", "]")])
    return f"{opening}{', '.join(_among(target, rng))}{closing}"


@content()
def solutions_that_hold_it(target: Target, rng: Random) -> str:
    return rng.choice([" \\text{ or } ", ", "]).join(f"x={text}" for text in _among(target, rng))


@content()
def zero_or_the_answer(target: Target, rng: Random) -> str:
    return rng.choice(["0 \\text{{ or }} {}", "0, {}", "{} \\text{{ or }} 0", "\\{{0, {}\\}}"]).format(target.gold)


@content("count")
def range_that_holds_it(target: Target, rng: Random) -> str:
    number = int(target.gold)
    low, high = number - rng.randint(1, 50), number + rng.randint(1, 50)
    return rng.choice(
        [
            "[{}, {}]",
            "({}, {})",
            "{} \\le x \\le {}",
            "\\text{{between }} {} \\text{{ and }} {}",
            "{} \\text{{ to }} {}",
            "{} \\ldots {}",
            "{} < n < {}",
            "{}-{}",
        ]
    ).format(low, high)


@content()
def bound_at_the_answer(target: Target, rng: Random) -> str:
    form = ["x \\ge {}", "x \\le {}", "> {}", "\\le {}", "[{}, \\infty)", "(-\\infty, {}]", "\\ne {}", "x \\ne {}"]
    return rng.choice(form).format(target.gold)


@content()
def bound_in_words(target: Target, rng: Random) -> str:
    form = ["at least {}", "at most {}", "more than {}", "less than {}", "not {}", "anything but {}", "{} or more"]
    return rng.choice(form).format(target.gold)


@content()
def both_signs(target: Target, rng: Random) -> str:
    return f"{rng.choice(['', 'x = '])}\\pm {target.gold.lstrip('-')}"


@content()
def plus_or_minus_one(target: Target, rng: Random) -> str:
    return rng.choice(["{} \\pm 1", "{} ± 1", "{} \\pm {}"]).format(target.gold, target.others[0])


@content("count")
def next_to_it(target: Target, rng: Random) -> str:
    number = int(target.gold)
    return rng.choice([str(number + 1), str(number - 1), f"{number}.5", f"{number}.01", f"{number + 1} - 2 + 2"])


@content()
def unevaluated(target: Target, rng: Random) -> str:
    return rng.choice(
        [
            "\\sum_{{k=1}}^{{10^{{12}}}} \\frac{{{0}}}{{10^{{12}}}}",
            "\\lim_{{n \\to \\infty}} \\left({0} + \\frac{{1}}{{n}}\\right)",
            "\\int_0^1 \\left({0} + x^{{x^x}} - x^{{x^x}}\\right) dx",
            "{0} \\cdot \\prod_{{k=1}}^{{1000000}} \\left(1 + \\frac{{1}}{{k^k}}\\right)",
            "{0} \\cdot \\sum_{{k=1}}^{{\\infty}} \\frac{{1}}{{2^k}} + 9^{{9^{{9^9}}}}",
            "{0} + 9^{{9^{{9^{{9}}}}}}",
        ]
    ).format(target.gold)


@content("scalar choice")
def reference_to_itself(target: Target, rng: Random) -> str:
    return rng.choice(
        [
            "x \\text{ where } x \\text{ is the answer}",
            "\\text{the answer}",
            "\\text{the correct answer}",
            "\\text{ans}",
            "answer",
            "\\text{see above}",
            "\\text{the value that was asked for}",
            "\\text{the reference answer}",
            "\\text{the same as the solution}",
            "x",
            "n",
        ]
    )


@content("scalar choice")
def example_of_the_prompt(target: Target, rng: Random) -> str:
    return rng.choice(
        ["...", "\\ldots", "your answer here", "\\text{answer}", "{answer}", "<answer>", "\\text{final answer}"]
    )


@content("scalar choice")
def wildcard(target: Target, rng: Random) -> str:
    signs = ["*", ".*", "?", "_", "%s", "null", "nan", "\\square", "\\_", "\\mathbb{R}", "\\emptyset", "\\forall x"]
    words = ["\\text{any number}", "\\text{anything}", "\\text{all of the above}", "\\text{none of the above}"]
    return rng.choice([*signs, *words])


@content("scalar choice")
def true_for_everything(target: Target, rng: Random) -> str:
    return rng.choice(
        ["x = x", "0 = 0", "x \\in \\mathbb{R}", "1 = 1", "x - x = 0", "0x = 0", "x^2 \\ge 0", "\\text{True}"]
    )


@content()
def true_or_false(target: Target, rng: Random) -> str:
    return f"x = {target.gold} \\text{{ or }} x \\ne {target.gold}"


@content()
def false_equation(target: Target, rng: Random) -> str:
    first, second, *_ = target.others
    return rng.choice([f"{first} = {target.gold}", f"{first} = {second} = {target.gold}", f"{target.gold} = {first}"])


@content()
def chain_of_everything(target: Target, rng: Random) -> str:
    return " = ".join(["x", *_among(target, rng)])


@content("choice")
def every_choice(target: Target, rng: Random) -> str:
    form = [
        "A, B, C, D, E",
        "ABCDE",
        "(A) (B) (C) (D) (E)",
        "A or B or C or D or E",
        "A/B/C/D/E",
        "A-E",
        "(A)-(E)",
        "any of them",
    ]
    return rng.choice(form)


@content("choice")
def two_choices(target: Target, rng: Random) -> str:
    pair = rng.sample([target.gold, target.wrong], 2)
    form = [
        "{}, {}",
        "{} or {}",
        "{} and {}",
        "({}) or ({})",
        "{}{}",
        "{}/{}",
        "({}), ({})",
        "\\text{{{} or {}}}",
        "either {} or {}",
    ]
    return rng.choice(form).format(*pair)


@content("choice")
def text_that_holds_the_letter(target: Target, rng: Random) -> str:
    form = [
        "not {}",
        "\\text{{anything but {}}}",
        "{} is wrong",
        "\\text{{It is not {}}}",
        "{1}, not {0}",
        "{1} rather than {0}",
    ]
    return rng.choice(form).format(target.gold, target.wrong)


@content()
def answers_in_a_layout(target: Target, rng: Random) -> str:
    texts = _among(target, rng, 4)
    between, opening, closing = rng.choice(
        [
            (" \\quad ", "", ""),
            (" \\mid ", "", ""),
            (" \\lor ", "", ""),
            (" \\cup ", "", ""),
            (" \\\\ ", "\\begin{cases} ", " \\end{cases}"),
            (" & ", "\\begin{pmatrix} ", " \\end{pmatrix}"),
            (" \\\\ ", "\\begin{pmatrix} ", " \\end{pmatrix}"),
        ]
    )
    return f"{opening}{between.join(texts)}{closing}"


@content()
def one_in_each_case(target: Target, rng: Random) -> str:
    form = [
        "{0} \\text{{ if }} n \\text{{ is odd, }} {1} \\text{{ if even}}",
        "\\begin{{cases}} {0} & n > 0 \\\\ {1} & n \\le 0 \\end{{cases}}",
        "{0} \\text{{ or maybe }} {1}",
        "{1} \\text{{ or }} {0}?",
    ]
    return rng.choice(form).format(target.gold, target.wrong)


@content()
def free_parameter(target: Target, rng: Random) -> str:
    form = [
        "{} + C",
        "{} \\cdot k",
        "{} + 7k, k \\in \\mathbb{{Z}}",
        "{} + x",
        "k",
        "n, n \\in \\mathbb{{Z}}",
        "c \\cdot {}",
    ]
    return rng.choice(form).format(target.gold)


@content("point")
def another_decimal(target: Target, rng: Random) -> str:
    """A reference of two digits is not the rounding of what goes on."""
    if len(target.gold.replace(".", "").lstrip("0")) > 2:
        return target.wrong
    return target.gold + rng.choice(["1", "04", "9", "0001"])
