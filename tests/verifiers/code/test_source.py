"""The program in a response, and what stands before it when it runs."""

import ast
import textwrap
import time

import pytest

from verifiers.code import types
from verifiers.code.formats.reading import read_tests
from verifiers.code.source.fences import fenced_blocks
from verifiers.code.source.program import program_of, whole_program

F = "def f(x):\n    return x\n"
G = "def g(x):\n    return -x\n"
PY = f"```python\n{F}```"


def program(response, mode="strict"):
    return program_of(response, mode).answer


FENCED = {
    "one block": PY,
    "text around it": f"Here it is:\n\n{PY}\n\nIt returns x.",
    "no language": f"```\n{F}```",
    "short name": f"```py\n{F}```",
    "capitals": f"```Python3\n{F}```",
    "braces": f"```{{.python .numberLines}}\n{F}```",
    "a title": f"```python title=solution.py\n{F}```",
    "a file as its language": f"```solution.py\n{F}```",
    "tildes": f"~~~python\n{F}~~~",
    "four backticks": f"````python\n{F}````",
    "a blank before the language": f"``` python\n{F}```",
    "blanks after the fence": f"```python  \n{F}```  ",
    "carriage returns": PY.replace("\n", "\r\n"),
    "within a list": "1. Code:\n" + textwrap.indent(PY, "   "),
    "within a quotation": textwrap.indent(PY, "> ", lambda line: True),
    "tabs before the fence": textwrap.indent(PY, "\t"),
    "blank lines around the code": f"```python\n\n\n{F}\n\n```",
    "no line end before the last fence": f"```python\n{F.rstrip()}```",
    "last of two": f"```python\n{G}```\nBetter:\n{PY}",
    "last of two without language": f"```\n{G}```\nBetter:\n```\n{F}```",
    "output after it": f"{PY}\nOutput:\n```text\n3\n```",
    "output under another name": f"{PY}\n```output\n3\n```\n```console\n$ python f.py\n```",
    "command after it": f"{PY}\nRun it:\n```bash\npython f.py\n```",
    "dialogue after it": f"{PY}\n```python\n>>> f(1)\n1\n```",
    "dialogue without language": f"{PY}\n```\n>>> f(1)\n1\n```",
    "dialogue of pycon": f"{PY}\n```pycon\n>>> f(1)\n1\n```",
    "thinking before it": f"<think>\n```python\n{G}```\n</think>\n{PY}",
    "thinking that the prompt opened": f"```python\n{G}```\n</think>\n{PY}",
    "end of turn after it": f"{PY}<|im_end|>\n```python\n{G}```",
    "end of sequence after it": f"{PY}</s>\n```python\n{G}```",
    "code within a sentence": f"{PY}\nCall it with ```f(1)``` or `f(2)`.",
}


@pytest.mark.parametrize("mode", ["strict", "lenient"])
@pytest.mark.parametrize("name", FENCED)
def test_the_program_is_the_last_fenced_block_after_the_thinking(name, mode):
    assert program(FENCED[name], mode) == F


def test_a_fence_in_a_docstring_does_not_end_the_block():
    code = 'def f(x):\n    """\n    ```\n    f(1)\n    ```\n    """\n    return x\n'
    assert program(f"```python\n{code}```\nDone.") == code
    odd = 'def f(x):\n    """\n    ```\n    """\n    return x\n'
    assert program(f"```python\n{odd}```") == odd
    other = 'def f(x):\n    # an odd """ in a comment\n    return x\n'
    assert program(f"```python\n{other}```\nand\n{PY}") == F
    assert program(f"```python\n{other}```\n") == other


@pytest.mark.parametrize(
    ("response", "strict", "lenient"),
    [
        ("", "no fenced block", "no fenced block, and no source in the response"),
        ("I cannot do this.", "no fenced block", "no fenced block, and no source in the response"),
        ("yes", "no fenced block", "no fenced block, and no source in the response"),
        ("42", "no fenced block", "no fenced block, and no source in the response"),
        ("```python\n```", "the last code block is empty", "the last code block is empty"),
        ("```python\n\n  \n```", "the last code block is empty", "the last code block is empty"),
        ("```text\nhello\n```", "no fenced block holds a program", "no fenced block holds a program"),
        ("```python\n>>> f(1)\n1\n```", "no fenced block holds a program", "no fenced block holds a program"),
        (f"<think>\n{PY}", "the response ends within a thought", "the response ends within a thought"),
        (
            "```cpp\nint main() {}\n```",
            "the last code block is in cpp; only Python programs can be judged",
            "the last code block is in cpp; only Python programs can be judged",
        ),
        ("```javascript\n1\n```", "the last code block is in javascript; only Python programs can be judged", None),
    ],
)
def test_a_response_without_a_program_says_why(response, strict, lenient):
    for mode, reason in (("strict", strict), ("lenient", lenient or strict)):
        assert (program_of(response, mode).answer, program_of(response, mode).reason) == (None, reason)


@pytest.mark.parametrize(
    ("response", "strict", "lenient"),
    [
        (F, None, F),
        (f"{F}\nprint(f(1))", None, f"{F}\nprint(f(1))\n"),
        (f"\n\n{F}</s>", None, F),
        ("    return x\n", None, "    return x\n"),
        ("    total = 0\n    return total", None, "    total = 0\n    return total\n"),
        ("print(1)", None, "print(1)\n"),
        (f"```python\n{F}", None, F),
        (f"```python\n{G}```\nBetter:\n```python\ndef f(x", None, "def f(x\n"),
        (f"{PY}\n```cpp\nint main() {{}}\n```", None, F),
        (f"{PY}\nwhich gives\n```\nx = [1, 2\n```", "x = [1, 2\n", F),
        (f"{PY}\n```python\n\n```", None, F),
        (f"[BEGIN]\n{F}[DONE]", None, F),
        (f"Sure. [PYTHON]\n{F}[/PYTHON]\nHere it is.", None, F),
        (f"The answer is:\n{F}", None, F),
        (f"The answer is:\n\n{F}\nIt returns x, as it should.", None, F),
        (f"from the task we see that x is returned.\n{F}Done!", None, F),
        (f"Indented:\n\n{textwrap.indent(F, '    ')}\nHope it helps.", None, F),
        (
            f"import this to see.\nimport math\n\n{F}\nprint(f(1))\nThis prints 1.",
            None,
            f"import math\n\n{F}\nprint(f(1))\n",
        ),
        ("I would import math and class it as easy.", None, None),
        ("import math", None, "import math\n"),
        ("Then:\nimport math\nand nothing else", None, None),
    ],
)
def test_lenient_takes_what_strict_refuses(response, strict, lenient):
    assert (program(response), program(response, "lenient")) == (strict, lenient)


def test_whole_takes_the_response_as_it_stands():
    assert program("    return x", "whole") == "    return x"
    assert program(PY, "whole") == PY
    assert program_of("  \n", "whole").reason == "the response is empty"
    with pytest.raises(ValueError, match="mode is 'loose'"):
        program_of(PY, "loose")


def test_a_response_of_any_size_is_read_in_linear_time():
    started = time.process_time()
    for text in (
        "```\n" * 50_000,
        "```python\nx\n" * 50_000,
        "`" * 500_000,
        "def f(:\n" * 50_000,
        "~~~~\n```\n" * 30_000,
        '```\n"""\n' * 30_000,
    ):
        program_of(text, "strict")
        program_of(text, "lenient")
        fenced_blocks(text)
    assert time.process_time() - started < 10


# ---------------------------------------------------------------- what stands before it

PROMPT = '''from typing import List
import math

LIMIT = 10


def helper(x: int) -> int:
    """Doubles."""
    return 2 * x


def f(xs: List[int]) -> int:
    """The sum of all, doubled.
    >>> f([1, 2])
    6
    """
'''
BODY = "    total = 0\n    for x in xs:\n        total += min(helper(x), LIMIT)\n    return int(math.fabs(total))\n"
FULL = f"def f(xs: List[int]) -> int:\n{BODY}"


def problem(prompt=PROMPT, prelude="", entry_point="f"):
    return types.CodeTests(
        texts=(types.TestText("assert f", ()),), prelude=prelude, entry_point=entry_point, prompt=prompt
    )


def run(answer, tests=None):
    names = {}
    exec(whole_program(answer, tests or problem()), names)
    return names["f"]([1, 2])


ANSWERS = {
    "body": BODY,
    "body without its indentation": textwrap.dedent(BODY),
    "body with two blanks": textwrap.indent(textwrap.dedent(BODY), "  "),
    "body with a tab": textwrap.indent(textwrap.dedent(BODY), "\t"),
    "body whose first line lost its indentation": BODY.lstrip(),
    "function": FULL,
    "function that is indented": textwrap.indent(FULL, "    "),
    "prompt and body": PROMPT + BODY,
    "function with a helper of its own": "def helper(x):\n    return 2 * x\n\n\n" + FULL,
    "body and a function after it": BODY + "\n\ndef other():\n    pass\n",
    "function as a lambda": "f = lambda xs: sum(map(helper, xs))",
    "class Solution with a function": f"{FULL}\n\nclass Solution:\n    pass\n",
    "function with an import from the future": f"from __future__ import annotations\n{FULL}",
}


@pytest.mark.parametrize("name", ANSWERS)
def test_an_answer_is_completed_by_its_prompt(name):
    assert run(ANSWERS[name]) == 6
    assert run(ANSWERS[name], problem(prelude="import os\nfrom math import *\n")) == 6


@pytest.mark.parametrize("name", ANSWERS)
def test_a_prompt_in_words_with_the_signature_in_a_fence_is_read_too(name):
    assert run(ANSWERS[name], problem(f"Complete this function:\n```python\n{PROMPT}```\nReturn the code.")) == 6


def test_a_helper_that_the_answer_defines_is_not_replaced():
    assert run("def helper(x):\n    return 0\n" + FULL) == 0


def test_a_stub_of_the_prompt_is_not_put_before_the_answer():
    prompt = 'def g(x):\n    """Later."""\n\n\ndef f(x):\n    """Doc."""\n'
    assert "Later" not in whole_program("def f(x):\n    return x\n", problem(prompt))


def test_a_signature_alone_is_a_prompt():
    assert run("    return sum(xs)", problem("def f(xs):")) == 3
    assert run("return sum(xs)", problem("def f(xs):\n")) == 3


@pytest.mark.parametrize(
    "prompt", ["", "Write a function f that adds.", "def f(", "def other(x):\n    pass\n", "x" * 1000]
)
def test_a_prompt_that_is_no_source_with_the_function_changes_nothing(prompt):
    for answer in (FULL, "x = 1\n", "def f(:\n", "not Python at all"):
        assert whole_program(answer, problem(prompt)) == answer


def test_an_answer_that_cannot_be_completed_runs_as_it_is():
    for answer in ("def f(:\n", "This is no code.", "x = [1,\n"):
        assert whole_program(answer, problem()) == answer


def test_a_prelude_stands_first_but_for_imports_from_the_future():
    tests = problem(prompt="", prelude="import math\n")
    assert whole_program("x = 1\n", tests) == "import math\nx = 1\n"
    source = whole_program('"""Doc."""\nfrom __future__ import annotations\nx = 1\n', tests)
    compile(source, "program", "exec")
    assert source.startswith("from __future__")
    assert whole_program("x = 1\n", problem(prompt="")) == "x = 1\n"


def test_a_humaneval_row_gives_its_prompt_to_the_program():
    row = {
        "tests": ["def check(candidate):\n    assert candidate([1, 2]) == 6\ncheck(f)"],
        "entry_point": "f",
        "prompt": PROMPT,
    }
    tests = read_tests(row)
    assert run(program(f"```python\n{BODY}```"), tests) == 6
    assert ast.parse(whole_program(BODY, tests))
