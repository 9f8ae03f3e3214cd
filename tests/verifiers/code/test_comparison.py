"""The checks of one outcome, and special checkers."""

import pkgutil
from pathlib import Path

import pytest

from verifiers.code.comparison.checkers import CHECKERS, Special, load_checker, trust_checkers
from verifiers.code.comparison.checks import (
    AnyOf,
    Close,
    Compared,
    Contains,
    Differs,
    Equals,
    IsInstance,
    OneOf,
    Raises,
    StdoutMatches,
    Truthy,
)
from verifiers.code.comparison.equality import Tolerance
from verifiers.code.formats.reading import read_tests
from verifiers.code.types import BadTests, BrokenCheck
from verifiers.sandbox.types import Call, Ending, Outcome, Stdin
from verifiers.sandbox.values import Items, Opaque

NAN = float("nan")
OPAQUE = Opaque("E", "<E object>")
UNFINISHED = [
    Outcome(Ending.ERROR, error="ValueError: no", exception="ValueError"),
    Outcome(Ending.TIME_LIMIT, error="more than 6 s of processor time"),
    Outcome(Ending.MEMORY_LIMIT),
    Outcome(Ending.OUTPUT_LIMIT),
]
VALUE_CHECKS = [
    Equals(None), Differs(1), OneOf((None, 1)), OneOf((1,), negated=True), Contains(1), Contains(1, negated=True),
    Truthy(), Truthy(expected=False), Close(0.0, 1.0), Compared("<", 1), IsInstance(("NoneType",)),
    Special("one_of", Call("f"), [None]), Special("presence", Call("f"), True),
]  # fmt: skip


ITEMS = Items("generator", [1], False)


def passes(check, value):
    return check.failure(Outcome(Ending.FINISHED, value)) == ""


@pytest.mark.parametrize(
    ("check", "right", "wrong"),
    [
        (Equals(3), [3, 3.0], [True, "3", 4, None, [3], NAN, OPAQUE]),
        (Equals(True), [True], [1, 1.0, "True", [True], OPAQUE]),
        (Equals(None), [None], [0, False, "", [], OPAQUE]),
        (Equals(0.3, Tolerance(absolute=1e-9)), [0.1 + 0.2], [0.31, NAN]),
        (Equals([1], types="json"), [(1,), [1]], [{1}, [True]]),
        (Differs(3), [4, True, "3", None], [3, 3.0, OPAQUE]),
        (OneOf((1, "a")), [1, 1.0, "a"], [True, "b", OPAQUE]),
        (OneOf((1, "a"), negated=True), [2, True], [1, "a", OPAQUE]),
        (Contains("b"), ["abc", ["b"], {"b": 1}, {"b"}, ("b",)], ["ac", ["ab"], {}, b"b", 1, None, OPAQUE]),
        (Contains(1), [[1], {1.0}], [[True], "1", [[1]], b"\x01", [OPAQUE]]),
        (Contains(b"b"), [b"abc", [b"b"]], ["abc", b"a"]),
        (Contains(1, negated=True), [[True], [], {2}], [[1], None, 5, OPAQUE]),
        (Truthy(), [True, 1, "a", [0], NAN], [False, 0, "", [], None, OPAQUE]),
        (Truthy(expected=False), [False, 0, "", [], None, 0.0], [True, 1, [0], OPAQUE]),
        (Close(1.0, 1e-6), [1, 1.0, 1 + 1e-7], [1.1, True, NAN, "1", None, 10**400, 1 + 0j, OPAQUE]),
        (Close(1.0, 0.5), [1.4], [1.5, 0.5]),
        (Close(1.0, 0.5, inclusive=True), [1.5, 0.5], [1.6]),
        (Close(1.0, relative=1e-9), [1.0 + 1e-10], [1.0 + 1e-8, NAN, 10**400]),
        (Compared("<", 3), [2, 2.5, -(10**400)], [3, 4, True, "2", None, NAN, OPAQUE]),
        (Compared(">=", "b"), ["b", "c"], ["a", 5, b"c"]),
        (Compared("<=", [1, 2]), [[1, 2], [0, 9]], [[1, "a"], [2], (0,)]),
        (IsInstance(("list", "tuple")), [[], ()], [{}, "a", None, OPAQUE]),
        (IsInstance(("int",)), [1, 10**30], [True, 1.0]),
        (AnyOf((Equals(1), Equals("a"))), [1, "a"], [2, True, OPAQUE]),
    ],
)
def test_a_check_accepts_right_values_and_no_others(check, right, wrong):
    for value in right:
        assert passes(check, value), value
    for value in wrong:
        line = check.failure(Outcome(Ending.FINISHED, value))
        assert line, value
        assert "\n" not in line
        assert len(line) < 400


@pytest.mark.parametrize("outcome", UNFINISHED, ids=lambda outcome: outcome.ending)
@pytest.mark.parametrize("check", VALUE_CHECKS)
def test_no_check_of_a_value_passes_for_a_program_that_did_not_finish(check, outcome):
    assert check.failure(outcome) == (outcome.error or f"ended with {outcome.ending.replace('_', ' ')}")


@pytest.mark.parametrize("check", VALUE_CHECKS)
def test_no_check_of_a_value_passes_for_an_object_that_is_not_plain(check):
    assert not passes(check, Opaque("E", "3"))
    assert not passes(check, ITEMS)


@pytest.mark.parametrize(
    ("names", "exception", "passed"),
    [
        (("ValueError",), "ValueError", True),
        (("ValueError",), "UnicodeDecodeError", True),
        (("ValueError",), "TypeError", False),
        (("LookupError", "TypeError"), "KeyError", True),
        (("Exception",), "ValueError", True),
        (("Exception",), "Mine", True),
        (("ValueError",), "Mine", False),
        (("Mine",), "Mine", True),
        (("Mine",), "Theirs", False),
        (("Exception",), "SystemExit", False),
        (("Exception",), "KeyboardInterrupt", False),
        (("BaseException",), "SystemExit", True),
        (("print",), "ValueError", False),
        (("ValueError",), "print", False),
        ((), "ValueError", True),
    ],
)
def test_an_exception_is_right_by_its_name_or_a_built_in_base(names, exception, passed):
    outcome = Outcome(Ending.ERROR, error=f"{exception}: x", exception=exception)
    assert (Raises(names).failure(outcome) == "") == passed


@pytest.mark.parametrize(
    "outcome",
    [
        Outcome(Ending.FINISHED, None),
        Outcome(Ending.FINISHED, OPAQUE),
        Outcome(Ending.ERROR, error="killed by signal 9"),
        Outcome(Ending.MEMORY_LIMIT, exception="MemoryError"),
        Outcome(Ending.TIME_LIMIT),
    ],
)
def test_a_limit_or_a_signal_is_no_exception(outcome):
    for names in ((), ("Exception",), ("MemoryError",), ("BaseException",)):
        assert Raises(names).failure(outcome)


def test_standard_output_counts_only_of_a_script_that_exits_with_status_0():
    check = StdoutMatches("3\n")
    assert check.failure(Outcome(Ending.FINISHED, stdout=b"3\n")) == ""
    assert check.failure(Outcome(Ending.ERROR, stdout=b"3\n", error="exit status 1")) == "exit status 1"
    assert check.failure(Outcome(Ending.TIME_LIMIT, stdout=b"3\n")) == "ended with time limit"
    assert check.failure(Outcome(Ending.FINISHED, stdout=b"4\n")) == "line 1: expected '3', got '4'"


@pytest.mark.parametrize(
    ("checker", "expected", "right", "wrong", "options"),
    [
        ("any_order", [1, 2, 2], [[2, 1, 2], (2, 2, 1)], [[1, 2], [1, 1, 2], {1, 2}, "122", [True, 2, 2], None], {}),
        ("any_order", [[1, 2], [3]], [[[3], [1, 2]], ((3,), (1, 2))], [[[3], [2, 1]], [[OPAQUE]], [OPAQUE, [3]]], {}),
        ("any_order_at_all_levels", [["a", "b"], ["c"]], [[["c"], ["b", "a"]]], [[["c"], ["a"]], [OPAQUE], 5], {}),
        ("any_order_within_groups", [[1, 2], [3]], [[[2, 1], [3]]], [[[3], [1, 2]], [[1, 2]], [1, 2, 3], None], {}),
        ("same_members", [1, 2], [[2, 1, 1], {1, 2}, (1, 2)], [[1], [1, 2, 3], [True, 2], "12", [OPAQUE]], {}),
        ("one_of", [1, "a"], [1, "a"], [True, "b", [1]], {}),
        ("near", [1.0, {"a": 2.0}], [[1.0 + 1e-8, {"a": 2}]], [[1.1, {"a": 2}], [1.0], None], {}),
        ("near", 1.0, [1.05], [1.2], {"absolute": 0.1}),
        ("presence", True, [True, "x", 0], [None, False], {}),
        ("presence", False, [None, False], ["x", True, 0], {}),
    ],
)
def test_a_special_checker_accepts_several_values(checker, expected, right, wrong, options):
    check = Special(checker, Call("f"), expected, options)
    for value in right:
        assert passes(check, value), value
    for value in wrong:
        line = check.failure(Outcome(Ending.FINISHED, value))
        assert line, value
        assert "\n" not in line


@pytest.mark.parametrize(
    ("checker", "expected", "right", "wrong"),
    [
        ("lines_in_any_order", "a\nb\nb\n", ["b\na\nb\n", "b \n\nb\na"], ["a\nb\n", "a b b\n", ""]),
        ("words_in_any_case", "YES 3\n", ["yes 3", "Yes\n3\n"], ["no 3", "yes", "yes 3 4"]),
        ("one_of", ["1 2", "2 1"], ["1 2\n", "2  1"], ["1", "1 2 2 1", ""]),
        ("near", "x 0.5\n", ["x 0.5000000001", "x\n0.5"], ["x 0.6", "y 0.5", "x nan", "x", "1" * 5000]),
    ],
)
def test_a_special_checker_accepts_several_texts(checker, expected, right, wrong):
    check = Special(checker, Stdin("1"), expected)
    for text in right:
        assert check.failure(Outcome(Ending.FINISHED, stdout=text.encode())) == "", text
    for text in wrong:
        assert check.failure(Outcome(Ending.FINISHED, stdout=text.encode())), text
    assert check.failure(Outcome(Ending.FINISHED, stdout=b"\xff")) == "standard output is not UTF-8 text"


@pytest.mark.parametrize(
    ("test", "passed"),
    [
        ("list(f()) == [1]", True),
        ("sorted(f()) == [1]", True),
        ("set(f()) == {1} and sum(f()) == 1", True),
        ("[x + 1 for x in f()] == [2]", True),
        ("list(f()) == [True]", False),
        ("len(f()) == 1", False),
        ("f() == [1]", False),
        ("isinstance(f(), list)", False),
        ("f()", False),
    ],
)
def test_a_test_that_lists_a_generator_can_be_passed_by_one(test, passed):
    cases = read_tests({"tests": [f"assert {test}"]}).cases
    assert all(case.check.failure(Outcome(Ending.FINISHED, ITEMS)) == "" for case in cases) == passed


def test_a_root_of_a_polynomial_is_right_whichever_it_is():
    check = Special("polynomial_root", Call("find_zero", ([-6, 11, -6, 1],)), 1.0)
    for root in (1, 2.0, 3.0000001):
        assert passes(check, root)
    for wrong in (1.5, True, NAN, float("inf"), 10**400, None, "1", OPAQUE):
        assert not passes(check, wrong), wrong


HOSTILE_VALUES = [
    None, True, 10**5000, NAN, float("inf"), "x" * 1000, "\ud800", b"\xff", [], [[[[]]]], {}, {1: OPAQUE}, [OPAQUE],
    (OPAQUE,), {(OPAQUE,)}, {OPAQUE: 1}, {"": {}}, [{1}, {(1, 2)}], [1, "a", None], 1j, [[1, 2], 3],
    [k * (2**61 - 1) for k in range(500)],
]  # fmt: skip


@pytest.mark.parametrize("checker", CHECKERS)
def test_no_built_in_checker_raises_for_any_value_of_a_program(checker):
    expected = {"any_order_within_groups": [[1], [2]], "presence": True, "lines_in_any_order": "a"}
    expected["words_in_any_case"] = "a"
    for value in HOSTILE_VALUES:
        for answer in (expected.get(checker, [1, 2]), expected.get(checker, ["a", None])):
            check = Special(checker, Call("f", ([1, 2],)), answer)
            assert "\n" not in check.failure(Outcome(Ending.FINISHED, value))


def test_a_checker_of_the_user_is_found_by_its_path(tmp_path, monkeypatch):
    (tmp_path / "my_checkers.py").write_text(
        "def even(case_input, expected, got, *, least=0):\n    return got % 2 == 0 and got >= least\n"
        "def said(case_input, expected, got):\n    return f'no\\n{got}'\n"
        "def broken(case_input, expected, got):\n    return got / 0\n"
        "def nothing(case_input, expected, got):\n    pass\nvalue = 3\n"
    )
    monkeypatch.chdir(tmp_path)
    with pytest.raises(BadTests, match="a row does not decide which code runs here; name it in the verifier's option"):
        Special("my_checkers:even", Call("f"), None)
    trust_checkers(f"my_checkers:{name}" for name in ("even", "said", "broken", "nothing"))
    check = Special("my_checkers:even", Call("f"), None, {"least": 3})
    assert passes(check, 4)
    assert not passes(check, 2)
    assert Special("my_checkers:said", Call("f"), 1).failure(Outcome(Ending.FINISHED, 5)) == "no 5"
    with pytest.raises(BrokenCheck, match="a checker returns True, False or a line of text"):
        Special("my_checkers:nothing", Call("f"), 1).failure(Outcome(Ending.FINISHED, 5))
    with pytest.raises(
        BrokenCheck, match="the checker 'my_checkers:broken' raised ZeroDivisionError: division by zero"
    ):
        Special("my_checkers:broken", Call("f"), 1).failure(Outcome(Ending.FINISHED, 5))
    with pytest.raises(BadTests, match=r"`checker_options`: 'my_checkers:even' .* unexpected keyword argument 'most'"):
        Special("my_checkers:even", Call("f"), None, {"most": 3})
    with pytest.raises(BadTests, match="is of type int; write"):
        trust_checkers(["my_checkers:value"])


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("any_ordr", "there is no checker 'any_ordr'; did you mean 'any_order'"),
        ("nothing", "Write any_order, .* or package.module:function"),
        ("no_such_module:f", "there is no module 'no_such_module' here or installed"),
        ("math:no_such", "has no attribute 'no_such'; write package.module:function"),
        ("math:", "write package.module:function"),
        (":f", "write package.module:function"),
    ],
)
def test_a_checker_that_does_not_exist_is_refused_when_the_tests_are_read(spec, message):
    with pytest.raises(BadTests, match=message):
        trust_checkers([spec])
    with pytest.raises(BadTests):
        Special(spec, Call("f"), 1)


def test_every_built_in_checker_can_be_loaded_and_is_on_the_page():
    page = (Path(__file__).parents[3] / "docs" / "code.md").read_text("utf-8")
    for name, path in CHECKERS.items():
        assert load_checker(name) is pkgutil.resolve_name(path)
        assert f"| `{name}` |" in page


def test_a_row_names_a_checker_and_its_options():
    row = {"tests": {"fn_name": "f", "inputs": ["1"], "outputs": ["1.0"]}}
    for options, passed in (({"absolute": 0.5}, True), ({}, False)):
        (case,) = read_tests({**row, "checker": "near", "checker_options": options}).cases
        assert passes(case.check, 1.4) == passed
