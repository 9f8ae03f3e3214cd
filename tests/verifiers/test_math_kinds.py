"""Kinds of answers as people write them, each with near answers that are wrong. Rows are (reference, answer)."""

from __future__ import annotations

import pytest

from verifiers.math.compare import compare
from verifiers.math.extract import extract

SAME: dict[str, list[tuple[str, str]]] = {
    "repeating decimals": [
        (r"\frac{5}{11}", r"0.\overline{45}"),
        (r"0.2\overline{34}", r"\frac{232}{990}"),
        (r"0.\dot{1}\dot{2}", r"\frac{4}{33}"),
        (r"3.\bar{6}", "11/3"),
        ("2.(3)", r"\frac73"),
        (r"-0.\overline{3}", r"-\frac13"),
    ],
    "fractions and binomials in other notations": [
        (r"\frac34", r"{3 \over 4}"),
        (r"\frac34", r"\cfrac{3}{4}"),
        (r"\frac{a+b}{c}", r"{a+b \over c}"),
        (r"\frac{n(n-1)}{2}", r"{n \choose 2}"),
        ("15", "C(6,2)"),
        ("10", r"{}_{5}C_{2}"),
        (r"6.02\times 10^{23}", "6.02 x 10^23"),
    ],
    "Greek signs": [
        (r"\alpha+\beta", "\u03b1+\u03b2"),
        (r"\frac{\lambda}{2}", "\u03bb/2"),
        (r"\hbar\omega", "\u210f\u03c9"),
        (r"\epsilon_0", r"\varepsilon_0"),
    ],
    "intervals and bounds": [
        (r"\{-1\} \cup [2,\infty)", r"x=-1 \text{ or } x\ge2"),
        (r"(-2,0) \cup (0,2)", r"-2<x<2, x\neq0"),
        (r"\{x|x\in\mathbb{R}, x\ne0\}", r"x\ne0"),
        ("(2,5)", "]2,5["),
        ("[2,5)", "[2,5["),
        (r"x\le 3", r"]-\infty,3]"),
        ("|x-1|<2", "(-1,3)"),
        (r"|x+1|\ge 2", r"(-\infty,-3]\cup[1,\infty)"),
        (r"(-\infty,2)\cup(3,\infty)", r"(-\infty,2) and (3,\infty)"),
        (r"x\ge 3", "x is at least 3"),
        ("x>3", "greater than 3"),
        (r"n\ge 3", r"\text{all integers } n \ge 3"),
        ("a<b", "b>a"),
    ],
    "sets": [
        (r"(m,n)=(1,2),(2,1)", r"m=1,n=2 \text{ or } m=2,n=1"),
        (r"\{1,2,3\}", r"S = \{1,2,3\}"),
        (r"\{1,2,3\}", r"\{1\}\cup\{2,3\}"),
        (r"\{1,2,3\}", r"\lbrace 1,2,3 \rbrace"),
        (r"\{2,4,\ldots,10\}", r"\{2,4,6,8,10\}"),
        (r"\{1,2,\ldots,n\}", r"\{1,2,...,n\}"),
        (r"(0,0),(1,1)", r"(x,y) \in \{(0,0),(1,1)\}"),
        (r"\{x \mid x = k\pi, k \in \mathbb{Z}\}", r"x=n\pi"),
    ],
    "points and vectors": [
        ("(1,4.5)", "P(1,4.5)"),
        ("(3,-1)", r"3\mathbf{i}-\mathbf{j}"),
        ("(2,-1,0)", r"2\hat{i}-\hat{j}"),
        (r"\begin{pmatrix}2\\-1\end{pmatrix}", r"2\mathbf{i}-\mathbf{j}"),
        (r"\begin{pmatrix}1&2\\3&4\end{pmatrix}", "[1 2; 3 4]"),
    ],
    "systems": [
        (r"\begin{cases}1&x>0\\0&x\le0\end{cases}", r"\begin{cases}0&x\le0\\1&x>0\end{cases}"),
        ("x=y=z=1", "(1,1,1)"),
        (r"a_n=\begin{cases}1,n=1\\2n,n\ge2\end{cases}", r"a_n = \begin{cases} 1 & n = 1 \\ 2n & n \geq 2 \end{cases}"),
        (r"\begin{cases}x=1\\y=2\end{cases}", "y=2, x=1"),
        (r"\left\{\begin{array}{l}x=1\\y=2\end{array}\right.", "x=1, y=2"),
        ("x=1, y=2", r"\begin{aligned}x&=1\\y&=2\end{aligned}"),
    ],
    "quantities": [
        ("12 km", "12 \u043a\u043c"),
        (r"12\left(\mathrm{cm}^{2}\right)", "12 cm^2"),
        ("12", "12 \u5143"),
        ("12", "12 \u043a\u043c/\u0447"),
        (r"\$0.75", "75 cents"),
        (r"\$12.50", "12 dollars and 50 cents"),
        ("2 hours 15 minutes", "2:15"),
        (r"25^\circ C", "25 degrees Celsius"),
        (r"25^\circ C", "25"),
        (r"5 \Omega", "5 ohms"),
        (r"4 \text{ m/s}^2", r"4\,\mathrm{m}\cdot\mathrm{s}^{-2}"),
        (r"3 \times 10^8 m/s", r"3\times10^8"),
        (r"100 \text{ kPa}", "10^5 Pa"),
    ],
    "dates": [("July 4, 1776", "4 July 1776"), ("December 25", "25th of December"), ("Wednesday", "Wed")],
    "words": [
        ("red and blue", "blue and red"),
        ("Vasya", "Vasya wins"),
        ("the first player wins", "the first player has a winning strategy"),
        ("isosceles triangle", "isosceles"),
        ("Friday", "It will be on a Friday."),
        ("The sum is even", r"\text{even}"),
        ("convergent", "converges"),
        ("no real roots", "none"),
        ("impossible", "not possible"),
        ("II only", "II"),
        ("minus twelve", "-12"),
        ("three times", "3"),
    ],
    "choices": [("B", "\u7b54\u6848\u662fB"), ("C", "A is wrong, B is wrong, so C")],
    "congruences": [
        (r"n\equiv 1 \pmod 4", r"n \equiv 1 (\bmod 4)"),
        (r"3 \pmod 7", "3"),
        (r"n\equiv -1 \pmod 4", r"n\equiv 3 \pmod 4"),
    ],
    "names": [
        (r"(-1)^k \frac{\pi}{6}+k\pi", r"(-1)^{n}\frac{\pi}{6}+n\pi"),
        (r"\frac{7}{12}", r"P = \frac{7}{12} \approx 0.583"),
        (r"\frac{\sqrt2}{2}", r"e=\frac{1}{\sqrt2}"),
        ("2x", r"\frac{dy}{dx}=2x"),
        (r"\frac{x-1}{2}", r"f^{-1}(x)=\frac{x-1}{2}"),
        ("f(x) = 0", r"f \equiv 0"),
        ("|AB|=3", "AB=3"),
        ("f(x)=cx", r"f(x)=kx \text{ for some constant } k"),
    ],
    "bases": [("2A_{16}", "0x2A"), ("110_2", "0b110")],
    "hyperbolic functions": [(r"\sinh^{-1}(1)", r"\ln(1+\sqrt2)")],
}
DIFFERENT: dict[str, list[tuple[str, str]]] = {
    "repeating decimals": [
        (r"0.\overline{45}", "0.45"),
        (r"\frac{5}{11}", r"0.4\overline{5}"),
        (r"0.2\overline{34}", r"0.\overline{234}"),
        (r"\frac73", "2(3)"),
    ],
    "fractions and binomials in other notations": [
        (r"a+\frac bc", r"{a+b \over c}"),
        (r"\frac n2", r"{n \choose 2}"),
        ("2x^5", "2 x 10^5"),
    ],
    "Greek signs": [("\u03bb", "\u03bc"), (r"\alpha+\beta", "a+b")],
    "intervals and bounds": [
        (r"(-2,0) \cup (0,2)", "-2<x<2"),
        (r"(-2,0) \cup (0,2)", r"-2<x<2, x\neq1"),
        (r"\{-1\} \cup [2,\infty)", r"x\ge2"),
        ("(2,5)", "[2,5]"),
        ("]2,5[", "[2,5]"),
        ("|x-1|<2", "(-2,2)"),
        (r"(1,2),(3,4)", r"(1,2)\cup(3,4)"),
        (r"x\ge 3", "x is greater than 3"),
        ("3", "at least 3"),
        ("a>2", "b>2"),
        ("a<b", "a>b"),
    ],
    "sets": [
        (r"\emptyset", r"\{\emptyset\}"),
        (r"\emptyset", r"\{0\}"),
        (r"\{2,4,\ldots,10\}", r"\{2,4,8,10\}"),
        (r"\{1,2,\ldots,10\}", r"\{1,2,\ldots,9\}"),
        (r"1,2,4,\ldots,64", r"1,2,3,\ldots,64"),
        (r"a\in\{1,-2\}", r"b\in\{1,-2\}"),
        (r"\{x \mid x = 3k+1\}", "x=3k+2"),
    ],
    "points and vectors": [
        ("(3,1)", r"3\mathbf{i}-\mathbf{j}"),
        ("(2,-1,1)", r"2\hat{i}-\hat{j}"),
        ("(1,2)", "1+2i"),
        (r"\begin{pmatrix}1&2\\3&4\end{pmatrix}", r"\begin{vmatrix}1&2\\3&4\end{vmatrix}"),
        (r"\begin{bmatrix}1&3\\2&4\end{bmatrix}", "[1 2; 3 4]"),
    ],
    "systems": [
        ("x=y=2", "x=2"),
        ("x=y=z=1", "(1,1,2)"),
        (r"a_n=\begin{cases}1,n=1\\2n,n\ge2\end{cases}", r"a_n = \begin{cases} 2 & n = 1 \\ 2n & n \geq 2 \end{cases}"),
        (r"\begin{cases}x=1\\y=2\end{cases}", "x=2, y=1"),
        (r"\begin{cases}x=1\\y=2\end{cases}", "(2,1)"),
    ],
    "quantities": [
        ("12 m", "12 \u043a\u043c"),
        ("12", "12\u4e07"),
        ("12", "13 \u5143"),
        ("12 cm^2", r"12\left(\mathrm{cm}\right)"),
        (r"\$75", "75 cents"),
        (r"\$12.50", "12.50 euros"),
        ("9.8 m/s^2", "9.8 m/s"),
        (r"25^\circ C", r"25^\circ F"),
        ("2 hours 15 minutes", "2.15 hours"),
        ("12:05", "12:5"),
        ("0.64N", "0.64"),
        ("8 boys", "8 girls"),
        ("3 red balls", "3 blue balls"),
    ],
    "dates": [("July 4, 1776", "July 4"), ("December 25", "December 24"), ("Wednesday", "Tue")],
    "words": [
        ("Friday", "The day after is Friday"),
        ("Alice", "The loser is Alice"),
        ("Alice or Bob", "Alice and Bob"),
        ("84", "84 plus tax"),
        ("red and blue", "red and green"),
        ("Monday and Friday", "Monday"),
        ("Alice, then Bob", "Bob, then Alice"),
        ("Vasya", "Petya wins"),
        ("right triangle", "isosceles triangle"),
        ("Friday", "It is not Friday"),
        ("a circle", "a circle or a line"),
        ("Alice", "the winner is Bob"),
        ("none", "0"),
        ("true", "1"),
        ("impossible", "possible"),
        ("II only", "I only"),
        ("84", "minus 84"),
        ("84", "half of 84"),
        ("84", "twice 84"),
        ("84", "84 and a half"),
    ],
    "choices": [("B", "\u7b54\u6848\u662fC"), ("C", "probably C"), ("C", "C is wrong")],
    "congruences": [
        (r"n\equiv2\pmod5", r"m\equiv2\pmod5"),
        (r"n\equiv 1 \pmod 4", r"n\equiv 3 \pmod 4"),
        (r"3 \pmod 7", r"3 \pmod 8"),
        (r"n\equiv 1 \pmod 4", "1"),
    ],
    "names": [
        ("y'=x", "y=x"),
        (r"\frac{dy}{dx}=x", r"\frac{dx}{dy}=x"),
        (r"\angle A=30^\circ", r"\angle B=30^\circ"),
        ("f^{-1}(x)=x", "f(x)=x"),
        (r"a=\sqrt2", r"b=\sqrt2"),
        ("f'(x)=2x", "f(x)=2x"),
        ("|AB|=3", "AB=-3"),
        (r"\frac{\sqrt2}{2}", "e=2"),
    ],
    "bases": [("110_2", "0b111"), ("2A_{16}", "0x2B")],
    "hyperbolic functions": [(r"\sinh^{-1}(1)", r"\frac{1}{\sinh 1}")],
}


@pytest.mark.parametrize("kind", SAME)
def test_answers_of_a_kind_are_found_in_other_notations(kind: str) -> None:
    refused = [pair for pair in SAME[kind] if not ((result := compare(pair[1], pair[0])) and result.equal)]
    assert not refused


@pytest.mark.parametrize("kind", DIFFERENT)
def test_near_answers_of_a_kind_are_wrong(kind: str) -> None:
    verdicts = {pair: compare(pair[1], pair[0]) for pair in DIFFERENT[kind]}
    assert all(result is not None for result in verdicts.values()), "decided without algebra"
    assert not [pair for pair, result in verdicts.items() if result and result.equal]


def test_every_kind_has_rows_of_both_sorts() -> None:
    assert set(SAME) == set(DIFFERENT)


UNMARKED = [
    ("The area is 36 cm$^2$.", "36"),
    (r"The area is $36$ $\text{cm}^2$.", "$36$"),
    ("The area is 36 cm^2.", "36"),
    ("The train arrives at 2:30 PM.", "2:30 PM"),
    ("The ratio is 3:5.", "3:5"),
    ("The value is - 5.", "- 5"),
    ("The population is 1.5 million.", "1.5 million"),
    ("f(x) = x^2 - 4", "x^2 - 4"),
    ("\u6545\u9009D\u3002", "D"),
    ("He pays 12 dollars.</s>", "12"),
]


@pytest.mark.parametrize(("response", "answer"), UNMARKED)
def test_a_lenient_answer_is_read_with_what_belongs_to_it(response: str, answer: str) -> None:
    extracted = extract(response, "lenient").answer
    assert extracted is not None and extracted.strip("$ ") == answer.strip("$ ")
    assert extract(response, "strict").answer is None


@pytest.mark.parametrize(
    ("answer", "gold", "equal"),
    [
        ("f(2) = 11", "5 + 6 = 11", True),
        ("f(2) = 10", "5 + 6 = 11", False),
        ("5 + 6 = 11", "x = 11", True),
        ("5 + 6 = 11", "x = 10", False),
    ],
)
def test_a_named_value_and_a_sum_that_is_worked_out(answer: str, gold: str, equal: bool) -> None:
    comparison = compare(answer, gold)

    assert comparison is not None and comparison.equal is equal


@pytest.mark.parametrize("response", ["D and A remain.", "It could not be B; D, A remain."])
def test_a_choice_beside_another_is_no_article(response: str) -> None:
    assert extract(response, "lenient").answer is None
