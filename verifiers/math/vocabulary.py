"""The names and signs that an expression is written with."""

from __future__ import annotations

FUNCTIONS = {
    "sin": "sin", "cos": "cos", "tan": "tan", "cot": "cot", "sec": "sec", "csc": "csc", "tg": "tan", "ctg": "cot",
    "arcsin": "asin", "arccos": "acos", "arctan": "atan", "arccot": "acot", "arcctg": "acot", "arctg": "atan",
    "asin": "asin", "acos": "acos", "atan": "atan",
    "sinh": "sinh", "cosh": "cosh", "tanh": "tanh", "arcsinh": "asinh", "arccosh": "acosh", "arctanh": "atanh",
    "ln": "ln", "log": "log", "lg": "lg", "exp": "exp", "sqrt": "sqrt", "cbrt": "cbrt",
    "cis": "cis", "abs": "abs", "floor": "floor", "ceil": "ceil",
    "max": "max", "min": "min", "gcd": "gcd", "lcm": "lcm",
}  # fmt: skip
INVERSES = {
    "sin": "asin",
    "cos": "acos",
    "tan": "atan",
    "cot": "acot",
    "sinh": "asinh",
    "cosh": "acosh",
    "tanh": "atanh",
}
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
SYNONYMS = {
    "\\cfrac": "\\frac",
    "\\nicefrac": "\\frac",
    "\\sfrac": "\\frac",
    "\\dbinom": "\\binom",
    "\\tbinom": "\\binom",
    "\\mathbf": "\\mathrm",
    "\\boldsymbol": "\\mathrm",
    "\\vec": "\\mathrm",
    "\\varepsilon": "\\epsilon",
    "\\vartheta": "\\theta",
    "\\varphi": "\\phi",
    "\\lbrace": "\\{",
    "\\rbrace": "\\}",
}
"""Commands that are read alike."""
_GREEK_NAMES = (
    "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi omicron pi rho varsigma sigma tau upsilon"
    " phi chi psi omega"
)
GREEK_SIGNS = (
    {0x3B1 + place: f"\\{name} " for place, name in enumerate(_GREEK_NAMES.split())}
    | {
        ord(sign): f"\\{name} "
        for sign, name in zip(
            "\u0393\u0394\u0398\u039b\u039e\u03a3\u03a6\u03a8\u03a9",
            ["Gamma", "Delta", "Theta", "Lambda", "Xi", "Sigma", "Phi", "Psi", "Omega"],
            strict=True,
        )
    }
    | {
        0x210F: "\\hbar ",
        0x3D5: "\\phi ",
        0x3F5: "\\epsilon ",
        0x22C5: "\\cdot ",
        0x2219: "\\cdot ",
        0x2032: "'",
        0x2713: "",
        0x2714: "",
        0x2705: "",
    }
)
"""Signs outside ASCII as LaTeX, for str.translate."""
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
