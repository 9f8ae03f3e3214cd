"""From a response to the program that runs: the code is found, and what the benchmark puts before it is added.

    strict    the last fenced block after the thinking
    lenient   without a fenced block, what stands between [PYTHON] or [BEGIN] tags, a whole response that is source, or
              the passage of it that is
    whole     the response as it stands

Blocks that show a command, an output or a dialogue with an interpreter are passed over. A last block in another
language is refused; lenient takes the last one in Python before it. One that was cut off is refused; lenient takes it.
"""

from __future__ import annotations

import ast
import builtins
import importlib
import re
import textwrap
from collections.abc import Collection

from verifiers.code.purity.scopes import local_nodes, module_scope
from verifiers.code.source.fences import Block, fenced_blocks
from verifiers.code.source.unfenced import is_source, parsed, source_within
from verifiers.code.types import CodeTests
from verifiers.python_source import free_names
from verifiers.response import Extraction, Mode, check_mode, is_unfinished_thought, strip_thinking

_LENDING = frozenset(
    {"bisect", "collections", "functools", "heapq", "itertools", "math", "operator", "string", "typing"}
)
"""Modules of which a prompt may import all names. They are imported here to see these, so no row names another."""
_MAX_SAMPLES = 20
"""Blocks without a language at the end of a response that are tried as source."""
_TAGS = re.compile(r"\[(PYTHON|BEGIN|CODE)\](.*?)(?:\[/\1\]|\[DONE\]|\Z)", re.DOTALL)
_END = re.compile(r"(?:</s>|<end_of_turn>|<\|eot\|>|<\|return\|>|<｜end▁of▁sentence｜>)")


def program_of(response: str, mode: Mode = "strict") -> Extraction:
    """The program in a response; `answer` is None if there is none, and `reason` says why.

    Raises:
        ValueError: the mode is unknown.
    """
    check_mode(mode)
    if mode == "whole":
        return Extraction(response, "the response") if response.strip() else Extraction(None, "the response is empty")
    text = _END.split(strip_thinking(response.replace("\r\n", "\n").lstrip("\ufeff")), maxsplit=1)[0]
    if not text.strip() and is_unfinished_thought(response):
        return Extraction(None, "the response ends within a thought")
    blocks = fenced_blocks(text)
    if (extraction := _last_block(blocks, mode)) is not None:
        return extraction
    if mode == "lenient":
        if tagged := [match[2] for match in _TAGS.finditer(text) if match[2].strip()]:
            return Extraction(_trimmed(tagged[-1]), "the text between tags")
        if not blocks and is_source(text):
            return Extraction(_trimmed(text), "the whole response, which is source")
        if not blocks and (source := source_within(text)):
            return Extraction(_trimmed(source), "the source in the response, which has no fence around it")
    if blocks:
        return Extraction(None, "no fenced block holds a program")
    return Extraction(None, "no fenced block" if mode == "strict" else "no fenced block, and no source in the response")


def _last_block(blocks: list[Block], mode: Mode) -> Extraction | None:
    """None if no block can be a program."""
    candidates = [block for block in blocks if block.may_be_program or block.is_other_language]
    if mode == "lenient":
        candidates = _readable(candidates)
    if not candidates:
        return None
    block = candidates[-1]
    if block.is_other_language:
        return Extraction(None, f"the last code block is in {block.language[:20]}; only Python programs can be judged")
    if not block.text.strip():
        return Extraction(None, "the last code block is empty")
    if not block.is_closed and mode == "strict":
        return Extraction(None, "the last code block is not closed: the response was cut off")
    return Extraction(_trimmed(block.text), "the last fenced block")


def _readable(blocks: list[Block]) -> list[Block]:
    """Without blocks of another language or of nothing at the end, if a Python block stands before them; and without
    blocks that name no language and are not source, as a sample of the output is.
    """
    programs = [block for block in blocks if block.may_be_program and block.text.strip()]
    last_ones = programs[: -_MAX_SAMPLES - 1 : -1]
    source = next((block for block in last_ones if block.language or is_source(block.text)), None)
    return [source] if source is not None else programs or blocks


def whole_program(answer: str, tests: CodeTests) -> str:
    """The source that runs: the benchmark's imports, what the prompt defines and the answer lacks, the answer."""
    program = _continued(answer, tests.prompt, tests.entry_point)
    return _after(tests.prelude, program)


def _continued(answer: str, prompt: str, entry_point: str) -> str:
    """An answer that is the body of the prompt's function is put behind its signature; to one that defines the function
    itself the prompt's imports and helpers are added.
    """
    prompt, definitions = _prompt_source(prompt, entry_point)
    if "." in entry_point:
        return _after("".join(f"{ast.unparse(node)}\n" for node in _needed(answer, definitions)), answer)
    tree = parsed(answer)
    if tree is None and (tree := parsed(textwrap.dedent(answer))) is not None and not _is_body(tree):
        answer = textwrap.dedent(answer)
    if not prompt:
        return answer
    if tree is None or _is_body(tree):
        body = textwrap.indent(textwrap.dedent(answer), "    ")
        for candidate in (prompt + answer, prompt + body, prompt + "    " + answer.lstrip()):
            if _is_complete(candidate, entry_point):
                return candidate
        return answer
    names = module_scope(tree).names
    missing = [node for node in definitions if _is_helper(node, names, entry_point)]
    return _after("".join(f"{ast.unparse(node)}\n" for node in missing), answer)


def _needed(answer: str, definitions: list[ast.stmt]) -> list[ast.stmt]:
    """Of a prompt's imports, classes, functions and constants those that the answer reads and does not define, and what
    these need. Of `from typing import *` the names alone, so that nothing hides a built-in.
    """
    waiting, known = _unbound(answer), set(dir(builtins))
    chosen: dict[int, ast.stmt] = {}
    while waiting:
        name = waiting.pop()
        known.add(name)
        for place, node in enumerate(definitions):
            if _binds(node, name):
                chosen[place] = node
                waiting |= _unbound(ast.unparse(node)) - known
            elif isinstance(node, ast.ImportFrom) and _lends(node, name):
                chosen[len(definitions) + len(chosen)] = ast.ImportFrom(node.module, [ast.alias(name)], 0)
    lent = [node for place, node in chosen.items() if place >= len(definitions)]
    return [*lent, *(chosen[place] for place in sorted(chosen) if place < len(definitions))]


def _unbound(source: str) -> set[str]:
    try:
        return set(free_names(source)) - set(dir(builtins))
    except (SyntaxError, ValueError, RecursionError):
        return set()


def _binds(node: ast.stmt, name: str) -> bool:
    if isinstance(node, ast.Import | ast.ImportFrom):
        return any((alias.asname or alias.name.partition(".")[0]) == name for alias in node.names)
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        return node.name == name and not (isinstance(node, ast.FunctionDef) and _is_stub(node))
    targets = node.targets if isinstance(node, ast.Assign) else []
    return any(isinstance(target, ast.Name) and target.id == name for target in targets)


def _lends(node: ast.ImportFrom, name: str) -> bool:
    """Whether `from module import *` brings the name."""
    if node.level or node.module not in _LENDING or all(alias.name != "*" for alias in node.names):
        return False
    return hasattr(importlib.import_module(node.module), name)


def _prompt_source(prompt: str, entry_point: str) -> tuple[str, list[ast.stmt]]:
    """The prompt, or the last fenced block in it, and its statements, if that is source that defines the function. Of
    `Solution().f` a prompt may have the imports and classes alone.
    """
    if "." in entry_point:
        blocks = (prompt, *(block.text for block in reversed(fenced_blocks(prompt))))
        for number, text in enumerate(blocks):
            tree = (parsed(text) or parsed(text.rstrip() + "\n        pass\n")) if text.strip() else None
            # a fenced block may show how the function is called: only one that defines its class is source
            if tree is not None and (number == 0 or re.split(r"\W", entry_point)[0] in module_scope(tree).names):
                return "", tree.body
        return "", []
    if not entry_point or f"def {entry_point}" not in prompt:
        return "", []
    for text in (prompt, *(block.text for block in reversed(fenced_blocks(prompt)))):
        tree = parsed(text) or parsed(text.rstrip() + "\n    pass\n")
        if tree is not None and entry_point in module_scope(tree).names:
            return text.rstrip() + "\n", tree.body
    return "", []


def _is_body(tree: ast.Module) -> bool:
    """Whether this is what stands within a function: it returns or yields at its top."""
    return any(isinstance(node, ast.Return | ast.Yield | ast.YieldFrom) for node in local_nodes(tree.body))


def _is_complete(source: str, entry_point: str) -> bool:
    """Whether the function has more than a docstring, and nothing returns outside a function."""
    tree = parsed(source)
    if tree is None or _is_body(tree):
        return False
    return any(
        isinstance(node, ast.FunctionDef) and node.name == entry_point and not _is_stub(node) for node in tree.body
    )


def _is_stub(node: ast.FunctionDef) -> bool:
    return all(isinstance(each, ast.Expr) and isinstance(each.value, ast.Constant) for each in node.body)


def _is_helper(node: ast.stmt, names: Collection[str], entry_point: str) -> bool:
    """What an answer may use without defining it: an import, a function that is written out, a class, a constant."""
    if isinstance(node, ast.Import | ast.ImportFrom):
        return True
    if isinstance(node, ast.FunctionDef):
        return node.name != entry_point and node.name not in names and not _is_stub(node)
    if isinstance(node, ast.ClassDef):
        return node.name not in names
    targets = node.targets if isinstance(node, ast.Assign) else []
    return bool(targets) and not any(isinstance(target, ast.Name) and target.id in names for target in targets)


def _after(prelude: str, program: str) -> str:
    """The program behind a prelude. `from __future__` must stand first, wherever it was."""
    if not prelude.strip():
        return program
    if "__future__" not in prelude + program:
        return f"{prelude.rstrip()}\n{program}"
    lines = f"{prelude.rstrip()}\n{program}".split("\n")
    future = [line for line in lines if line.startswith("from __future__ import ")]
    return "\n".join([*future, *(line for line in lines if not line.startswith("from __future__ import "))])


def _trimmed(text: str) -> str:
    """Without blank lines around; the first line keeps its indentation."""
    return re.sub(r"\A(?:[ \t]*\n)+", "", text).rstrip() + "\n"
