"""What a candidate's text may not hold, and that nothing else is taken for it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.verifiers.lean.honest_texts import HONEST_TEXTS
from verifiers.lean.candidate import read_candidate
from verifiers.lean.lexical import BANNED, bans, first_ban
from verifiers.lean.tokens import Kind, tokens
from verifiers.lean.verifier import statement_of

SHARED = Path(__file__).parents[4] / "shared" / "data"
FILES = ("minif2f_lean4.jsonl", "minif2f_lean4_v4.24.jsonl")


@pytest.mark.parametrize("word", BANNED)
def test_a_banned_word_is_seen_wherever_code_stands(word: str) -> None:
    for text in (word, f"x\n  {word} y", f"theorem a : b := by\n  {word}", f"({word})", f"a;{word}", f"/- c -/{word}"):
        ban = first_ban(text)
        assert ban is not None and ban.what == word and word in str(ban), text


@pytest.mark.parametrize("word", ["macro", "axiom", "run_cmd", "notation", "#eval", "#exit"])
@pytest.mark.parametrize(
    "text",
    [
        "-- {}\n",
        "/- {} -/",
        "/- a /- {} -/ {} -/",
        "/-- the {} of it -/ theorem a : b := c",
        "/-! {} -/",
        '"{}"',
        '"a \\" {}"',
        'r"{}"',
        'r#"a " {}"#',
    ],
)
def test_comments_and_strings_are_no_code(word: str, text: str) -> None:
    assert first_ban(text.replace("{}", word)) is None


@pytest.mark.parametrize(
    "text", ["h.syntax", "Nat.elab x", "x.macro.y", "«macro»", "Foo.«run_cmd»", "my_axiom", "axiom'"]
)
def test_parts_of_names_are_no_keywords(text: str) -> None:
    assert first_ban(text) is None


@pytest.mark.parametrize(
    "text",
    [
        # what ends a comment or a string earlier than it seems
        "/- -/ run_cmd x -/",
        "/- /- -/ -/ run_cmd x",
        '"a" run_cmd "b"',
        '"\\\\" run_cmd x',
        'r"\\" run_cmd x',
        'r#"a"# run_cmd x',
        "'\"' run_cmd x",
        "-- comment\nrun_cmd x",
        # texts that can be read in two ways
        "/--/ run_cmd x -/",
        "{x //-1 = y} run_cmd z -/",
        "a <--b; run_cmd x",
        's!"{run_cmd x}"',
        's!"{f "a" ++ run_cmd x}"',
        's!"{"/-"}" run_cmd x -/',
        'f ⁻¹\'"\' " run_cmd x "',
        '0x1r"\\" run_cmd x "',
        "« run_cmd x",
        'f\'"run_cmd" x' + '" run_cmd "',
        # attributes and options
        '@[simp, extern "f"] def a := b',
        "@[local simp, scoped my_ext] def a := b",
        "attribute [local implemented_by f] g",
        "attribute [-simp, init f] g",
        "set_option debug.skipKernelTC true in theorem a : b := c",
        "set_option warn.sorry false",
        "set_option  /- c -/ compiler.x 1",
        "theorem a : b := set_option maxRecDepth 1 in set_option debug.x 1 in c",
        # the kernel and compiled code
        "Lean.ofReduceBool a b c",
        "open Lean in ofReduceBool",
        "by decide +native",
        "by native_decide",
        "eval% x",
        # commands
        "theorem a : b := c #exit",
        "#my_command x",
        "x\x00y",
        "x\u0085y",
    ],
)
def test_what_hides_is_found(text: str) -> None:
    assert first_ban(text) is not None


@pytest.mark.parametrize("text", HONEST_TEXTS)
def test_no_false_alarm_on_honest_proofs(text: str) -> None:
    assert first_ban(text) is None, str(first_ban(text))


def test_there_are_enough_honest_proofs() -> None:
    assert len(HONEST_TEXTS) >= 30


def test_the_line_is_named() -> None:
    (ban,) = bans("-- macro\n\n  macro x")
    assert str(ban) == "line 3: macro is not allowed: it changes what later text means"


@pytest.mark.skipif(not SHARED.is_dir(), reason="needs miniF2F in ../shared/data")
@pytest.mark.parametrize("name", FILES)
def test_no_false_alarm_on_minif2f(name: str) -> None:
    rows = [json.loads(line) for line in (SHARED / name).read_text(encoding="utf-8").splitlines()]
    assert len(rows) == 488
    for row in rows:
        statement = statement_of(
            {key: row[key] for key in ("formal_statement", "code", "header", "name") if key in row}
        )
        assert statement.name == row["name"] and statement.wants == "by" and statement.imports[0] == "Mathlib"
        assert not statement.setting and statement.signature.rstrip()[-1] not in (":", "=")
        whole = row.get("code") or f"{row['header']}{row['informal_prefix']}{row['formal_statement']}  sorry"
        for candidate in (read_candidate(whole, statement), read_candidate("nlinarith [sq_nonneg (a - b)]", statement)):
            assert first_ban(candidate.text) is None, (row["name"], str(first_ban(candidate.text)))


PIECES = [
    '"',
    "'",
    "/-",
    "-/",
    "--",
    "\n",
    "«",
    "»",
    "r#",
    "\\",
    "{",
    "}",
    "a",
    "run_cmd",
    " ",
    "r",
    "#",
    "'a'",
    "0x1",
    "<",
]


@given(st.lists(st.sampled_from(PIECES), max_size=30))
def test_tokens_cover_the_text_in_order(pieces: list[str]) -> None:
    source = "".join(pieces)
    end = 0
    for token in tokens(source):
        assert token.start >= end and source.startswith(token.text, token.start)
        assert not source[end : token.start].strip(" \t\r\n!?'")
        end = token.end
    assert not source[end:].strip(" \t\r\n!?'")


@given(st.text(max_size=200))
def test_any_text_is_read(source: str) -> None:
    assert all(token.text for token in tokens(source))
    list(bans(source))


@given(st.lists(st.sampled_from(PIECES), max_size=15))
def test_a_word_on_a_line_of_its_own_is_code_unless_something_is_open(pieces: list[str]) -> None:
    """Before it anything may stand: the word is seen, or it stands in a comment, a string or a name that is open."""
    source = "".join(pieces) + "\nrun_cmd\n"
    place = source.rindex("run_cmd")
    (around,) = [token for token in tokens(source) if token.start <= place < token.end]
    hidden = around.kind in (Kind.COMMENT, Kind.DOC, Kind.TEXT) or "«" in around.text
    assert hidden or first_ban(source) is not None
