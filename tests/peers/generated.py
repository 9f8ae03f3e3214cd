"""Made-up responses in the layouts that models write, with what is right by construction.

Every problem and every number is ours. A layout is right or wrong with its answer, unless it says otherwise.
"""

from __future__ import annotations

from dataclasses import dataclass

from tests.peers.cases import Case

WORK = "First there are 7 crates. 7 * 3 = 21, and some of them go to the neighbours."


@dataclass(frozen=True, slots=True)
class Layout:
    """How an answer stands in a response: {x} the answer, {n} with thousands separators, {w} another number, {d}
    what is missing from 21."""

    name: str
    text: str
    follows_answer: bool = True
    """False: the response is wrong, or gives no answer, whatever {x} is."""
    is_debatable: bool = False
    """True: people differ on whether this is an answer at all."""


GSM8K_LAYOUTS = (
    Layout("hashes", WORK + "\n#### {x}"),
    Layout("hashes, separators", WORK + "\n#### {n}"),
    Layout("hashes, currency", WORK + "\n#### ${n}"),
    Layout("hashes, full stop", WORK + "\n#### {x}."),
    Layout("hashes, decimals", WORK + "\n#### {x}.00"),
    Layout("hashes, unit", WORK + "\n#### {x} apples"),
    Layout("hashes without space", WORK + "\n####{x}"),
    Layout("hashes, bold", WORK + "\n#### **{x}**"),
    Layout("hashes, box", WORK + "\n#### \\boxed{{{x}}}"),
    Layout("hashes twice", WORK + "\n#### {x}\n#### {w}", False),
    Layout("hashes, either", WORK + "\n#### {x} or {w}", False),
    Layout("hashes, another box", WORK + " So \\boxed{{{w}}}.\n#### {x}", is_debatable=True),
    Layout("hashes, then a check", WORK + "\n#### {x}\n\nI checked this in 2 ways."),
    Layout("hashes, then a question", WORK + "\n#### {x}\n\nHow many pears are in 5 bags of 9?\n5 * 9 = 45."),
    Layout("box", WORK + "\nThe answer is \\boxed{{{x}}}."),
    Layout("box in dollars", WORK + " So $\\boxed{{{x}}}$"),
    Layout("box, currency", WORK + " She pays \\boxed{{\\${n}}}."),
    Layout("box, unit", WORK + " It takes \\boxed{{{x} \\text{{ minutes}}}}."),
    Layout("box, separators", WORK + " \\boxed{{{n}}}"),
    Layout("box, then a number", WORK + "\n\\boxed{{{x}}}\nThis took 3 steps."),
    Layout("box twice", WORK + " So \\boxed{{{x}}}. The final answer is \\boxed{{{x}}}."),
    Layout("box, another value first", WORK + " \\boxed{{{w}}} is too much, so \\boxed{{{x}}}.", is_debatable=True),
    Layout("box, another value last", WORK + " \\boxed{{{x}}}, or \\boxed{{{w}}}.", False),
    Layout("box, a number behind it", WORK + " So \\boxed{{{w}}}. At first I thought it was {x}", False),
    Layout("box not closed", WORK + " The answer is \\boxed{{{x}", False),
    Layout("phrase", WORK + "\nThe answer is {x}."),
    Layout("phrase, separators", WORK + "\nThe answer is {n}."),
    Layout("phrase, currency", WORK + "\nThe final answer is ${n}."),
    Layout("phrase, cents", WORK + "\nThe final answer is ${n}.00."),
    Layout("phrase, unit", WORK + "\nThe answer is {x} kilometres per hour."),
    Layout("phrase, bold", WORK + "\n**Final answer:** {x}"),
    Layout("phrase, not another", WORK + "\nThe answer is {x}, not {w}."),
    Layout("phrase, then a remark", WORK + "\nThe answer is {x}. This took 3 steps."),
    Layout("A:", WORK + "\nA: {x}"),
    Layout("last number", WORK + "\nSo {x} are left"),
    Layout("last number, full stop", WORK + "\nSo there are {x}."),
    Layout("last number, dots", WORK + "\nSo there are {x}..."),
    Layout("equation", WORK + "\n7 * 3 + {d} = {x}"),
    Layout("equation in dollars", WORK + "\n$7 \\cdot 3 + {d} = {x}$"),
    Layout("false equation in dollars", WORK + "\n$2 \\cdot 4 + 1 = {x}$", is_debatable=True),
    Layout("number, then its parts", WORK + "\nShe needs {x} in all, of 2 kinds.", is_debatable=True),
    Layout("in the middle", "She has {x}. In the end this is what she keeps, after 2 days.", is_debatable=True),
    Layout("alone", "{x}"),
    Layout("tag", "<answer>{x}</answer>"),
    Layout("thought closed", "<think>Perhaps {w}? No.</think>\nThe answer is {x}."),
    Layout("thought not closed", "<think>" + WORK + " So it is {x}", False),
    Layout("another number last", WORK + "\nThe answer is {w}.", False),
    Layout("either", WORK + "\nThe answer is {x} or {w}.", False),
    Layout("range", WORK + "\nThe answer is {x}-{w}.", False),
    Layout("denied", WORK + "\nThe answer is not {x}", False),
    Layout("in the work alone", "She begins with {x}.\nI cannot say how many are left.", False, is_debatable=True),
    Layout("no number", "I do not know.", False),
    Layout("empty", "", False),
)
GSM8K_GOLDS = ("0", "3", "10", "12", "48", "96", "150", "1,200", "2,450", "18,000", "1,250,000", "-4", "-120", "7.5")


def gsm8k_cases() -> list[Case]:
    """Each layout with each gold, answered with the gold and with the number after it."""
    cases = []
    for gold in GSM8K_GOLDS:
        value = float(gold.replace(",", ""))
        for name, answer in (("right", value), ("wrong", value + 1)):
            for layout in GSM8K_LAYOUTS:
                numbers = {
                    "x": _plain(answer),
                    "n": _grouped(answer),
                    "w": _plain(value + 13),
                    "d": _plain(answer - 21),
                }
                if "}.00" in layout.text and "." in numbers["x"]:
                    continue
                response = layout.text.format(**numbers)
                truth = None if layout.is_debatable else layout.follows_answer and name == "right"
                identity = f"gsm8k {layout.name}, {gold}, {name}"
                cases.append(Case(identity, f"Problem with the answer {gold}.", gold, response, truth, "generated"))
    return [*cases, *_other_forms()]


def _other_forms() -> list[Case]:
    """Answers that are not digits alone."""
    forms = (
        ("12", "twelve", True),
        ("20", "twenty-one", False),
        ("0.5", "1/2", True),
        ("0.5", "one half", True),
        ("1.5", "1 1/2", True),
        ("1200000", "1.2 million", True),
        ("50", "50%", True),
        ("50", "60%", False),
        ("3600", "3.6e3", True),
        ("-8", "minus 8", True),
        ("-8", "- 8", True),
        ("15", "\\frac{30}{2}", True),
        ("15", "5 * 3", True),
    )
    return [
        Case(
            f"gsm8k form {form}, {name}",
            f"Problem with the answer {gold}.",
            gold,
            text.format(x=form),
            truth,
            "generated",
        )
        for gold, form, truth in forms
        for name, text in (("box", WORK + " \\boxed{{{x}}}"), ("phrase", WORK + "\nThe answer is {x}."))
    ]


def _plain(value: float) -> str:
    return f"{value:g}" if not value.is_integer() else str(int(value))


def _grouped(value: float) -> str:
    return f"{value:,g}" if not value.is_integer() else f"{int(value):,}"


MATH_LAYOUTS = (
    Layout("minerva", "We simplify.\nFinal Answer: The final answer is ${x}$. I hope it is correct."),
    Layout("minerva, box", "We simplify.\nFinal Answer: The final answer is $\\boxed{{{x}}}$. I hope it is correct."),
    Layout("box", "We simplify. The answer is $\\boxed{{{x}}}$."),
    Layout("box in brackets", "We simplify, and get\n\\[\\boxed{{{x}}}\\]"),
    Layout("box, formulas before", "With $t = 2$ we get $t^2 = 4$, hence \\boxed{{{x}}}."),
    Layout("phrase", "We simplify. The answer is ${x}$."),
    Layout("formula alone", "${x}$"),
    Layout("formula last", "With $t = 2$ this becomes ${x}$."),
)
MATH_ANSWERS: tuple[tuple[str, tuple[str, ...], tuple[str, ...]], ...] = (
    (r"\frac{3}{8}", (r"\frac{3}{8}", r"\dfrac38", "3/8", "0.375", r"\frac{6}{16}"), (r"\frac{8}{3}", "0.38", "3")),
    (r"-\frac{5}{2}", (r"-\frac{5}{2}", r"\frac{-5}{2}", "-2.5", r"-5/2"), (r"\frac{5}{2}", "-2")),
    (r"2\sqrt{7}", (r"2\sqrt{7}", r"2\sqrt7", r"\sqrt{28}", r"\sqrt{7}\cdot 2"), (r"7\sqrt{2}", "5.29", r"\sqrt{14}")),
    (
        r"\frac{\sqrt{6}}{3}",
        (r"\frac{\sqrt{6}}{3}", r"\frac{2}{\sqrt{6}}", r"\sqrt{\frac{2}{3}}"),
        (r"\frac{\sqrt{3}}{6}",),
    ),
    ("1440", ("1440", "1,440", r"1{,}440", r"1\,440", "1440.0"), ("144", "14400")),
    (r"18\pi", (r"18\pi", r"\pi \cdot 18", r"18 \pi\text{ cm}^2"), ("18", "56.5")),
    ("(3,-2)", ("(3,-2)", "(3, -2)", r"\left(3, -2\right)", r"(3,\,-2)"), ("(-2,3)", "(3,2)", "3,-2,0")),
    ("[1,6)", ("[1,6)", r"\left[1, 6\right)", r"1 \le x < 6"), ("(1,6)", "[1,6]")),
    (r"(-\infty,4]", (r"(-\infty,4]", r"(-\infty, 4]", r"x \leq 4"), (r"(-\infty,4)", r"[4,\infty)")),
    ("x^2-5x+6", ("x^2-5x+6", "x^{2} - 5x + 6", "(x-2)(x-3)", "6 - 5x + x^2"), ("x^2+5x+6", "x^2-5x")),
    ("35", ("35", r"35^\circ", r"35^{\circ}", r"35\text{ degrees}", "x = 35"), ("53", "35.5")),
    (r"60\%", (r"60\%", "60", r"60 \%"), ("6", "0.06")),
    (r"101_3", (r"101_3", r"101_{3}"), (r"101_4", "110_3")),
    ("2, 5", ("2, 5", "5, 2", r"2 \text{ and } 5"), ("2", "2, 5, 7")),
    (r"\{1,4,9\}", (r"\{1,4,9\}", r"\{9, 4, 1\}", r"\left\{1, 4, 9\right\}"), (r"\{1,4\}", r"\{1,4,8\}")),
    ("3 + 4i", ("3 + 4i", "3+4i", "4i + 3"), ("3 - 4i", "7i")),
    (r"\text{Tuesday}", (r"\text{Tuesday}", "Tuesday", r"\textbf{Tuesday}", r"\text{tuesday}"), (r"\text{Monday}",)),
    (r"\text{even}", (r"\text{even}", r"\mathrm{even}", "even"), (r"\text{odd}",)),
    (
        r"\begin{pmatrix} 2 \\ -1 \end{pmatrix}",
        (
            r"\begin{pmatrix} 2 \\ -1 \end{pmatrix}",
            r"\begin{pmatrix}2\\-1\end{pmatrix}",
            r"\begin{bmatrix} 2 \\ -1 \end{bmatrix}",
        ),
        (r"\begin{pmatrix} -1 \\ 2 \end{pmatrix}",),
    ),
    (r"\frac{n(n-1)}{2}", (r"\frac{n(n-1)}{2}", r"\frac{n^2-n}{2}", r"\binom{n}{2}"), (r"\frac{n(n+1)}{2}",)),
    ("y = 2x + 3", ("y = 2x + 3", "y=2x+3", "2x + 3"), ("y = 2x - 3", "y = 3x + 2")),
    (r"\$12.50", (r"\$12.50", "12.50", "12.5", r"\$12.5"), ("1250", r"\$12.05")),
    ("0", ("0", "0.0", "-0"), ("1", r"\emptyset")),
    (r"2^{10}", (r"2^{10}", "1024", r"2^{5} \cdot 2^{5}"), ("20", "2^9")),
    (r"\log_2 5", (r"\log_2 5", r"\log_{2} 5", r"\frac{\ln 5}{\ln 2}"), (r"\log_5 2",)),
    (r"\frac{\pi}{6}", (r"\frac{\pi}{6}", r"\pi/6", r"\dfrac{\pi}{6}"), (r"\frac{\pi}{3}", "30")),
    ("1 + \\sqrt{2}", ("1 + \\sqrt{2}", "\\sqrt{2} + 1", "1+\\sqrt2"), ("1 - \\sqrt{2}", "2.41")),
    ("7.2 \\times 10^4", ("7.2 \\times 10^4", "72000", "7.2 \\cdot 10^{4}", "72,000"), ("7.2", "7200")),
)
MATH_ROUNDED = ("5.29", "56.5", "2.41")
"""Decimals that round to an irrational gold: right here by policy, wrong elsewhere."""


def math_cases() -> list[Case]:
    """Each answer in each of its forms, right and wrong ones, in each layout."""
    cases = []
    for gold, equal, different in MATH_ANSWERS:
        for answer in (*equal, *different):
            correct = None if answer in MATH_ROUNDED else answer in equal
            for layout in MATH_LAYOUTS:
                identity = f"math {layout.name}, {gold}, {answer}"
                response = layout.text.format(x=answer)
                cases.append(Case(identity, f"Problem with the answer {gold}.", gold, response, correct, "generated"))
    return cases
