"""The names and signs that an expression is written with."""

from __future__ import annotations

FUNCTIONS = {
    "sin": "sin", "cos": "cos", "tan": "tan", "cot": "cot", "sec": "sec", "csc": "csc", "tg": "tan", "ctg": "cot",
    "arcsin": "asin", "arccos": "acos", "arctan": "atan", "arccot": "acot", "arcctg": "acot", "arctg": "atan",
    "asin": "asin", "acos": "acos", "atan": "atan",
    "sinh": "sinh", "cosh": "cosh", "tanh": "tanh",
    "ln": "ln", "log": "log", "lg": "lg", "exp": "exp", "sqrt": "sqrt", "cbrt": "cbrt",
    "abs": "abs", "floor": "floor", "ceil": "ceil",
    "max": "max", "min": "min", "gcd": "gcd", "lcm": "lcm",
}  # fmt: skip
INVERSES = {"sin": "asin", "cos": "acos", "tan": "atan", "cot": "acot"}
GREEK = frozenset(
    [
        "alpha",
        "beta",
        "gamma",
        "delta",
        "epsilon",
        "varepsilon",
        "zeta",
        "eta",
        "theta",
        "vartheta",
        "iota",
        "kappa",
        "lambda",
        "mu",
        "nu",
        "xi",
        "rho",
        "sigma",
        "tau",
        "upsilon",
        "phi",
        "varphi",
        "chi",
        "psi",
        "omega",
        "Gamma",
        "Delta",
        "Theta",
        "Lambda",
        "Xi",
        "Sigma",
        "Upsilon",
        "Phi",
        "Psi",
        "Omega",
        "ell",
        "hbar",
        "mho",
        "partial",
        "nabla",
        "aleph",
        "imath",
        "jmath",
    ]
)
PRODUCT = frozenset({"*", "\\cdot", "\\times", "\\ast", "\\bullet"})
QUOTIENT = frozenset({"/", "\\div", ":"})
OPENING = {"(": ")", "[": "]", "{": "}", "\\{": "\\}", "\\lbrack": "\\rbrack", "\\lparen": "\\rparen"}
ROUNDING = {
    "\\lfloor": ("\\rfloor", "floor"),
    "\\lceil": ("\\rceil", "ceil"),
    "\\lvert": ("\\rvert", "abs"),
    "\\lVert": ("\\rVert", "abs"),
}
UNKNOWN_FUNCTIONS = frozenset("fghFGHPQ")
BEGINNINGS = frozenset({"\\frac", "\\pi", "\\infty", "\\binom", "\\mathrm", "\\operatorname"})
