"""What a candidate's text may not hold: whatever could run code of its own while Lean elaborates it, or change what
later text means.

The comparison of the theorem's type and of its axioms decides what a proof is worth; but it is Lean that compares, in a
process that has loaded the candidate's module. This layer keeps out what could reach that process: macros and notation,
elaborators, commands that run programs, initialisers, attributes that extend Lean, options that switch checks off.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from verifiers.lean.tokens import Kind, Lines, Token, tokens

_CHANGES = "it changes what later text means"
_RUNS = "it runs code while Lean elaborates"
_UNCHECKED = "it adds what the kernel does not check"

BANNED: dict[str, str] = {
    **dict.fromkeys(
        (
            *("macro", "macro_rules", "syntax", "declare_syntax_cat", "notation", "notation3", "infix", "infixl"),
            *("infixr", "prefix", "postfix", "binder_predicate", "unif_hint", "export", "register_option"),
            *("declare_simp_like_tactic", "declare_config_elab", "register_simp_attr", "register_label_attr"),
            *("register_builtin_option", "register_tactic_tag", "tactic_extension", "declare_aesop_rule_sets"),
        ),
        _CHANGES,
    ),
    **dict.fromkeys(
        (
            *("elab", "elab_rules", "elab_stx", "by_elab", "run_cmd", "run_tac", "run_elab", "run_meta", "run_conv"),
            *("initialize", "builtin_initialize", "simproc", "simproc_decl", "dsimproc", "dsimproc_decl"),
            *("builtin_simproc", "builtin_simproc_decl", "builtin_dsimproc", "builtin_dsimproc_decl"),
            *("include_str", "eval_suggest_tactic", "declare_command_config_elab", "init_quot"),
            *("dbg_trace", "unsafe"),
        ),
        _RUNS,
    ),
    "axiom": "it assumes what is to be proved",
    **dict.fromkeys(("opaque", "partial", "native_decide", "implemented_by", "csimp"), _UNCHECKED),
    **dict.fromkeys(("import", "prelude"), "imports are those of the problem"),
}
"""Words that may not stand in a candidate's code, and why."""

_LAST_PARTS = frozenset(
    ["reduceBool", "reduceNat", "ofReduceBool", "ofReduceNat", "trustCompiler", "addDeclWithoutChecking", "unsafeCast"]
)
"""Of names that make the kernel trust compiled code."""

_COMMANDS = frozenset(
    """
    #adaptation_note #assert_no_axioms #aesop_stats #allow_unused_tactic #check #check_failure #check_tactic #conv
    #count_heartbeats #decide #discr_tree_key #echo #eval #exit #explain #explode #find #find_home #find_syntax #guard
    #guard_expr #guard_msgs #help #import_path #import_bumps #instances #lint #list_linters #long_names
    #leansearch #leanexplore #loogle #math #min_imports #minimize_imports #moogle #norm_num #print #print_axioms
    #push_neg #push_discr_tree #queryNames #redundant_imports #reduce #ring #ring_nf #sample #search #show_deprecated
    #show_kind #show_unused #simp #simp_arith #simp_trace #statesearch #string_diagram #synth #test #time #trans_imports
    #transitive_imports #unfold #unfold? #unify #version #whnf #whnfR #where #widget #with_exporting #nsimp #nsynth
    """.split()  # noqa: SIM905
)
_OPTIONS = frozenset(
    """
    maxRecDepth maxHeartbeats synthInstance.maxHeartbeats synthInstance.maxSize autoImplicit relaxedAutoImplicit
    exponentiation.threshold diagnostics hygiene tactic.hygienic simprocs structureDiamondWarning
    """.split()  # noqa: SIM905
)
_OPTION_GROUPS = ("pp.", "linter.", "trace.", "backward.", "grind.", "aesop.", "says.", "profiler.", "push_cast.")
_ATTRIBUTES = frozenset(
    """
    simp norm_cast push_cast move_cast elim_cast squash_cast ext instance reducible irreducible semireducible inline
    always_inline noinline specialize aesop gcongr fun_prop mono refl rfl symm trans congr elab_as_elim
    elab_without_expected_type elabAsElim simps to_additive nolint deprecated default_instance class match_pattern
    induction_eliminator cases_eliminator coe inherit_doc grind bound field_simps ring_nf measurability continuity
    nontriviality expose higher_order mk_iff reassoc elementwise simprocs subst
    simp_mem zify_simps qify_simps rify_simps parity_simps mfld_simps functor_norm monad_norm
    """.split()  # noqa: SIM905
)
_CONTROL = re.compile("[\\x00-\\x08\\x0b\\x0c\\x0e-\\x1f\\x7f-\\x9f]")
_MOST_SHOWN = 40


@dataclass(frozen=True, slots=True)
class Ban:
    """Something in a candidate's text that it may not hold."""

    what: str
    line: int
    """In the candidate's text, from 1 on."""
    why: str

    def __str__(self) -> str:
        return f"line {self.line}: {self.what} is not allowed: {self.why}"


def first_ban(source: str) -> Ban | None:
    """The first thing in the text that a candidate may not hold; None if there is none."""
    return next(bans(source), None)


def bans(source: str) -> Iterator[Ban]:
    """All of them in order."""
    lines = Lines(source)
    if control := _CONTROL.search(source):
        yield Ban(f"the character U+{ord(control[0]):04X}", lines.line(control.start()), "Lean's text has none")
    code = [token for token in tokens(source) if token.is_code]
    for number, token in enumerate(code):
        line = lines.line(token.start)
        if token.kind is Kind.WORD:
            yield from _word(code, number, line)
        elif token.kind is Kind.HASH:
            begins_line = lines.column(token.start) == 0
            if token.text in _COMMANDS or begins_line:
                yield Ban(f"the command {_shown(token.text)}", line, "only declarations and proofs are judged")
        elif token.text == "@" and number + 1 < len(code) and code[number + 1].text == "[":
            yield from _attributes(code, number + 1, line)


def _word(code: list[Token], number: int, line: int) -> Iterator[Ban]:
    word = code[number].text
    if why := BANNED.get(word):
        yield Ban(_shown(word), line, why)
    elif "«" not in word and word.rpartition(".")[2] in _LAST_PARTS:
        yield Ban(_shown(word), line, _UNCHECKED)
    elif word == "set_option":
        option = code[number + 1].text if number + 1 < len(code) else ""
        if option not in _OPTIONS and not option.startswith(_OPTION_GROUPS):
            yield Ban(f"set_option {_shown(option)}", line, "this option is not on the list of harmless ones")
    elif word == "attribute" and number + 1 < len(code) and code[number + 1].text == "[":
        yield from _attributes(code, number + 1, line)
    elif word == "decide" and [token.text for token in code[number + 1 : number + 3]] == ["+", "native"]:
        yield Ban("decide +native", line, _UNCHECKED)
    elif word in ("eval", "elab_stx") and number + 1 < len(code) and _is_glued(code, number, "%"):
        yield Ban(f"{word}%", line, _RUNS)


def _is_glued(code: list[Token], number: int, sign: str) -> bool:
    following = code[number + 1]
    return following.text == sign and following.start == code[number].end


def _attributes(code: list[Token], opening: int, line: int) -> Iterator[Ban]:
    """Each attribute of a list in brackets must be on the list of harmless ones."""
    depth = 0
    is_name_due = True
    for number in range(opening, len(code)):
        token = code[number]
        if token.kind is Kind.SYMBOL and token.text in "([{⟨":
            depth += 1
        elif token.kind is Kind.SYMBOL and token.text in ")]}⟩":
            depth -= 1
            if depth == 0:
                return
        elif depth == 1 and token.text == ",":
            is_name_due = True
        elif is_name_due and depth == 1 and token.text not in ("local", "scoped", "-"):
            is_name_due = False
            if token.text not in _ATTRIBUTES:
                yield Ban(f"the attribute {_shown(token.text)}", line, "it is not on the list of harmless ones")


def _shown(text: str) -> str:
    return text if len(text) <= _MOST_SHOWN else f"{text[:_MOST_SHOWN]}..."
