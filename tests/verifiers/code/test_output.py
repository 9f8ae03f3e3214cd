"""Standard output against the expected text."""

import time

import pytest

from verifiers.code.comparison.equality import Tolerance
from verifiers.code.comparison.output import output_difference

NEAR = Tolerance(relative=1e-6, absolute=1e-6)
ALL = ("exact", "lines", "tokens", "numbers")


@pytest.mark.parametrize(
    ("expected", "output", "modes"),
    [
        ("3\n", "3\n", ALL),
        ("3", "3\n", ALL),
        ("3\n", "3", ALL),
        ("3\n", "3\n\n  \n", ALL),
        ("1 2\n3\n", "1 2 \n3\n", ("lines", "tokens", "numbers")),
        ("1 2\r\n3\r\n", "1 2\n3\n", ("lines", "tokens", "numbers")),
        ("1 2\n3\n", "1 2\r\n3\r\n", ("lines", "tokens", "numbers")),
        ("1 2\n", " 1 2\n", ("tokens", "numbers")),
        ("1 2\n", "1  2\n", ("tokens", "numbers")),
        ("1 2\n", "1\n2\n", ("tokens",)),
        ("1\n\n2\n", "1\n2\n", ("tokens",)),
        ("1.5\n", "1.50\n", ("numbers",)),
        ("100\n", "1e2\n", ("numbers",)),
        ("007\n", "7\n", ("numbers",)),
        ("a 1.0\n", "a 1\n", ()),
        ("YES\n", "Yes\n", ()),
        ("3\n", "4\n", ()),
        ("3\n", "", ()),
        ("3\n", "3 4\n", ()),
        ("3\n4\n", "3\n", ()),
        ("", "0\n", ()),
        ("", "", ALL),
        ("", "\n", ALL),
        ("1\n", "1_0\n", ()),
        ("10\n", "1_0\n", ()),
        ("nan\n", "NaN\n", ()),
        ("1\n", "\u0661\n", ()),
        ("100000.0\n", "100000.9\n", ()),
        ("0.1\n", "0.1000000001\n", ()),
        ("5\n7\n9\n", "5\n", ()),
        ("[1, 2]\n", "[1,2]\n", ()),
        ("True\n", "1\n", ()),
        ("a\x0bb\n", "a\nb\n", ("tokens",)),
        ("a\u2028b\n", "a\nb\n", ("tokens",)),
    ],
)
def test_each_mode_accepts_what_it_says_and_nothing_else(expected, output, modes):
    accepted = tuple(mode for mode in ALL if not output_difference(expected, output.encode(), mode))
    # A line of one word and one number is not a line of numbers alone, but its words are compared one by one.
    if expected == "a 1.0\n":
        modes = ("numbers",)
    assert accepted == modes


@pytest.mark.parametrize(
    ("expected", "output", "is_near"),
    [
        ("0.333333\n", "0.3333333333\n", True),
        ("0.333333\n", "0.3334\n", False),
        ("1e6\n", "1000000.5\n", True),
        ("1000000\n", "1000000.5\n", False),
        ("1000000.0\n", "1000002\n", False),
        ("1.0 x\n", "1.0000001 x\n", True),
        ("1.0 x\n", "1.0000001 y\n", False),
        ("1.0\n", "nan\n", False),
        ("1.0\n", "inf\n", False),
        ("1.0\n", "1e999999999\n", False),
        ("0.0\n", "1e-999999999\n", True),
        ("1.0\n", "1e99999999999999999999999\n", False),
    ],
)
def test_a_tolerance_holds_for_numbers_that_are_written_with_a_point_or_an_exponent(expected, output, is_near):
    assert (output_difference(expected, output.encode(), "numbers", NEAR) == "") == is_near


@pytest.mark.parametrize("mode", ALL)
@pytest.mark.parametrize("output", [b"3\xff\n", b"\xed\xa0\x80", b"\xc0\xb3"])
def test_output_that_is_not_utf8_is_wrong_in_every_mode(output, mode):
    assert output_difference("3\n", output, mode).startswith("standard output is not UTF-8 text: byte 0x")


@pytest.mark.parametrize(
    ("expected", "output", "line"),
    [
        ("1\n2\n", "1\n3\n", "line 2: expected '2', got '3'"),
        ("1\n2\n", "1\n", "line 2: expected '2', got the end of the output"),
        ("1\n", "1\n2\n", "line 2: expected the end of the output, got '2'"),
        ("x" * 500, "y", "line 1: expected 'xxxxxxxxxxxxx"),
    ],
)
def test_the_reason_names_the_line(expected, output, line):
    reason = output_difference(expected, output.encode())
    assert reason.startswith(line)
    assert len(reason) < 250


def test_long_outputs_are_compared_in_linear_time():
    started = time.process_time()
    text = "\n".join(f"{number}.5 word" for number in range(50_000))
    for mode in ALL:
        assert output_difference(text, text.encode(), mode, NEAR) == ""
    assert output_difference(text, text.replace("5", "50").encode(), "numbers", NEAR)
    assert output_difference("1.0\n", b"1" * 10**6, "numbers", NEAR)
    assert output_difference("1.0\n", b"1e" + b"9" * 1000, "numbers", NEAR)
    assert time.process_time() - started < 10
