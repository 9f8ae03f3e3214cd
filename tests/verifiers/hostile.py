"""Answers that are made to hang, to crash or to run code, and plain answers of many kinds."""

from __future__ import annotations


def nested(opening: str, inner: str, closing: str, depth: int) -> str:
    return opening * depth + inner + closing * depth


HOSTILE_ANSWERS: list[tuple[str, str]] = [
    ("7^{7^{7^{7^{7}}}}", "2"),
    ("7**7**7**7**7", "2"),
    ("7^{7^{7^{7}}}-1", "7^{7^{7^{7}}}"),
    ("3^{2000000000}", "5^{1300000000}"),
    ("4e888888888", "4"),
    ("3" * 20_000, "3" * 20_000),
    ("8" * 6_000 + "1", "8" * 6_000 + "2"),
    (nested(r"\frac{2}{3+", "1", "}", 250), "1"),
    (nested(r"\frac{", "5", "}{2}", 250), "5"),
    (nested("(", "6", ")", 800), "6"),
    (nested(r"\sqrt{", "3", "}", 120), "3"),
    (nested("{", "4", "}", 3_000), "4"),
    ("{" * 1_500, "4"),
    ("}" * 1_500, "4"),
    ("2+" * 6_000 + "2", "12002"),
    (",".join(map(str, range(2_500))), ",".join(map(str, range(2_499, -1, -1)))),
    (
        r"\{" + ",".join(rf"\sqrt{{{n}}}" for n in range(3, 190)) + r"\}",
        r"\{" + ",".join(rf"\sqrt{{{n}}}" for n in range(189, 2, -1)) + r"\}",
    ),
    ("\x00", "1"),
    ("\ud800", "1"),
    ("2000000000!", "1"),
    ("80000!", "80000!"),
    ("((8!)!)!", "1"),
    (r"\binom{90000}{45000}", "3"),
    (r"\sum_{j=1}^{3000000000} j^2", "3"),
    (r"\prod_{j=1}^{2000000} (1+\frac{1}{j})", "2000001"),
    (r"\int_1^2 \frac{\cos(\cos(x^x))}{\ln(2+x^{x^x})} dx", "2"),
    (r"\lim_{x \to 0} \frac{\tan(\sin(x)) - \sin(\tan(x))}{x^7}", r"\frac{1}{30}"),
    (r"\begin{pmatrix}" + r"\\".join("&".join(["2"] * 50) for _ in range(50)) + r"\end{pmatrix}", "2"),
    ("(a+b+c)^{180}", "(c+b+a)^{180}"),
    (r"\sin^{14}(x)+\cos^{14}(x)+\cot^{5}(x)\csc^7(x)", r"\sin(14x)+2"),
    ("+".join(rf"\sqrt{{{n}}}" for n in (2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43)), "64"),
    ("x^{90}+x^{89}+2=0", "x=2"),
    ("x^7 - x + 3 > 0", "x > -1.3"),
    (r"\frac{3}{0}", "3"),
    ("0^0", "1"),
    (r"-\infty", r"\infty"),
    (r"__import__('os').abort()", "1"),
    (r"(__import__('os').abort(), 2)", "(1, 2)"),
    ("().__class__.__base__.__subclasses__()", "1"),
    ("[j for j in range(10**10)]", "1"),
]

HOSTILE_RESPONSES: list[tuple[str, str]] = [
    (r"So it is \boxed{3", "3"),
    (nested(r"\boxed{", "3", "}", 400), "3"),
    ("$" * 12_000, "3"),
    ("and so $y = 4$, hence " * 5_000, "4"),
    (" ".join(rf"\boxed{{{n}}}" for n in range(60)), "17"),
    (r"\boxed{" * 4_000, "1"),
    ("</think>" * 4_000 + r"\boxed{1}", "1"),
]

PLAIN_ANSWERS = [
    *("0", "7", "-12", "3.25", "-0.006", "10000", "12,500", "1e5", "4.4e7", "2.5e-3", "1.39e9"),
    *("62.5%", "$15", "75^\\circ", "3:2", "11:30", "2/3", "-5/8", "1 1/2"),
    *(r"\frac{8}{21}", r"-\frac{23}{60}", r"\dfrac{1}{2}", r"2\frac{1}{3}", r"$\frac{97}{36}$", r"\frac{\pi}{4}"),
    *(r"\sqrt{3}", r"2-\sqrt{3}", r"$5\sqrt{2}$", r"\sqrt[3]{4}", r"3\pi", "2π", r"e^{2}", r"\log_2 3", r"\ln 5"),
    *("1 - 12i", "3+4i", "x+1", r"x^2-5x+6", "n=k+4", "y = 2x - 1", r"\frac{x}{x+1}", "2^{10}", "4!", r"\binom{6}{2}"),
    *("3, 5, 7", "(1, 2)", "(-1, 0, 4)", r"\{1, 2, 3\}", "[0, 1)", r"(-\infty, 2]", r"(0,1) \cup (2,3)", "x > 3"),
    *(r"\begin{pmatrix} -1 & 0 \\ 0 & -1 \end{pmatrix}", r"\begin{pmatrix} 2 \\ 5 \end{pmatrix}", r"\text{even}"),
    *(r"\text{(B)}", "(C)", "Tuesday", "yes", "parabola", r"\text{odd}", r"\infty", r"\emptyset", "10^{-3}"),
]
"""Gold answers as data sets of school and competition mathematics write them."""
