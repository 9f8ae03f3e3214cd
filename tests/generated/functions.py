"""Reward functions, verifiers and data functions by what they do: raise, return, print, exit, change, await."""

from __future__ import annotations

import functools
import hashlib
import json
import tempfile
from pathlib import Path
from typing import Any

import yaml
from hypothesis import strategies as st

from tests.generated.case import Case, Outcome, run_command
from tests.generated.recipes import NAME, as_json
from tests.runs.test_two_at_once import without_clock
from tests.tiny_runs import rows, tiny

RIGHT_REWARD = "[float(len(text)) for text in responses]"
ERRORS = (
    "ValueError('bad')",
    "KeyError('answer')",
    "ZeroDivisionError()",
    "StopIteration()",
    "RecursionError('deep')",
    "MemoryError()",
    "AssertionError('two\\nlines\\n')",
    "FileNotFoundError(2, 'No such file', 'labels.txt')",
    "PermissionError(13, 'Permission denied', 'labels.txt')",
    "UnicodeDecodeError('utf-8', b'x', 0, 1, 'bad')",
    "TimeoutError()",
    "NotImplementedError()",
    "ModuleNotFoundError('no module')",
    "SystemExit(0)",
    "SystemExit(3)",
    "SystemExit('words')",
    "SystemExit()",
    "GeneratorExit()",
    "Exception(b'\\xff', object)",
    "ExceptionGroup('many', [ValueError('a'), KeyError('b')])",
    "type('Odd', (Exception,), {'__str__': lambda self: 1 / 0})()",
    "ValueError('\\ud835')",
    "ValueError('x' * 100_000)",
    "__import__('jinja2').TemplateError('bad')",
    "__import__('concurrent.futures', fromlist=['x']).CancelledError()",
)
WRONG_RETURNS = (
    "None",
    "1.0",
    "True",
    "'text'",
    "'x' * len(responses)",
    "b'0' * len(responses)",
    "dict.fromkeys(range(len(responses)), 1.0)",
    "set(range(len(responses)))",
    "[1.0] * (len(responses) + 1)",
    "[1.0] * (len(responses) - 1)",
    "[]",
    "[float('nan')] * len(responses)",
    "[float('inf')] * len(responses)",
    "[-float('inf')] + [0.0] * (len(responses) - 1)",
    "['1.0'] * len(responses)",
    "[[1.0]] * len(responses)",
    "[{}] * len(responses)",
    "[1j] * len(responses)",
    "[10**400] * len(responses)",
    "[object()] * len(responses)",
    "__import__('numpy').ones((len(responses), 2))",
    "__import__('numpy').ones(())",
    "__import__('torch').ones(len(responses), 1, 1)",
    "__import__('torch').full((len(responses),), float('nan'))",
    "lambda: 1.0",
    "object()",
    "NotImplemented",
    "...",
)
RIGHT_RETURNS = (
    RIGHT_REWARD,
    f"tuple({RIGHT_REWARD})",
    f"__import__('numpy').array({RIGHT_REWARD})",
    f"__import__('numpy').array({RIGHT_REWARD}, 'float32')",
    f"__import__('torch').tensor({RIGHT_REWARD})",
    f"list(map(int, {RIGHT_REWARD}))",
    f"(print('hello'), {RIGHT_REWARD})[1]",
    f"(print('half', end=''), {RIGHT_REWARD})[1]",
    f"(__import__('sys').stdout.write('x\\r'), {RIGHT_REWARD})[1]",
    f"(__import__('sys').stderr.write('note'), {RIGHT_REWARD})[1]",
    f"(__import__('warnings').warn('careful'), {RIGHT_REWARD})[1]",
    f"(__import__('logging').error('careful'), {RIGHT_REWARD})[1]",
    f"(__import__('os').environ.update(MINE='1'), {RIGHT_REWARD})[1]",
)
CHANGES = (
    "problems[0].reference.update(answer='0')",
    "problems[0].reference.clear()",
    "[problem.meta.clear() for problem in problems]",
    "[problem.reference.update(answer=text) for problem, text in zip(problems, responses)]",
    "problems.clear()",
    "problems.reverse()",
    "responses.__setitem__(0, '5')",
    "setattr(problems[0], 'id', 'another')",
    "object.__setattr__(problems[0], 'reference', {'answer': '0'})",
    "__import__('random').seed(7)",
    "__import__('numpy').random.seed(7)",
    "__import__('torch').manual_seed(7)",
)
"""Statements that change what a function is given, or what is random. The step's result must not depend on them."""
SIGNATURES = ("", "responses", "responses, problems, third", "*, responses, problems", "responses, problems, *, third")
MODULES = (
    "def f(responses, problems:\n    return 1\n",
    "import nobody_has_this\n",
    "from os import nobody_has_this\n",
    "from . import sibling\n",
    "1 / 0\n",
    "raise SystemExit(0)\n",
    "exit()\n",
    "import sys; sys.exit('words')\n",
    "f = 5\n",
    "f = None\n",
    "f = 'text'\n",
    "f = []\n",
    "g = 1\n",
    "class f:\n    pass\n",
    "class f:\n    def __init__(self, more):\n        pass\n",
    "\x00",
    "def f():\n\treturn 1\n        return 2\n",
    "# -*- coding: nobody -*-\n",
    "f = property(lambda self: 1)\n",
    "def __getattr__(name):\n    raise ValueError(name)\n",
)
VERDICT = "Verdict(ok, float(ok), Status.JUDGED, text, 'mine', '', 0.0)"
VERIFIER = """\
from verifiers.types import Status, Verdict
class f:
    def verify(self, responses, references):
        pairs = [(text.strip() == r['answer'], text) for text, r in zip(responses, references)]
        return {returned}
    def gold_response(self, reference):
        return {gold}
"""
RIGHT_VERDICTS = f"[{VERDICT} for ok, text in pairs]"
WRONG_VERDICTS = (
    "None",
    "True",
    "[]",
    "{}",
    "[ok for ok, text in pairs]",
    "[float(ok) for ok, text in pairs]",
    "[(ok, 1.0) for ok, text in pairs]",
    f"[{VERDICT} for ok, text in pairs][1:]",
    f"[{VERDICT} for ok, text in pairs] * 2",
    f"[{VERDICT.replace('float(ok)', 'float(chr(110) + chr(97) + chr(110))')} for ok, text in pairs]",
    f"[{VERDICT.replace('float(ok)', '5.0')} for ok, text in pairs]",
    f"[{VERDICT.replace('float(ok)', 'None')} for ok, text in pairs]",
    f"[{VERDICT.replace('(ok,', '(None,')} for ok, text in pairs]",
    f"[{VERDICT.replace('Status.JUDGED', repr('fine'))} for ok, text in pairs]",
    "1 / 0",
    "exit(0)",
    "[Verdict() for _ in pairs]",
)
WRONG_GOLDS = (
    "None",
    "5",
    "1 / 0",
    "exit(0)",
    "''",
    "reference['nobody']",
    "b'5'",
    "[reference['answer']]",
    "reference",
)
WRONG_ROWS = (
    "None",
    "5",
    "'text'",
    "{}",
    "[]",
    "[None]",
    "[5]",
    "[[]]",
    "[{}]",
    "[{'prompt': '1 + 2'}]",
    "[{'prompt': '1 + 2', 'answer': None}]",
    "[{'prompt': 5, 'answer': 3}]",
    "[{'prompt': '1 + 2 \\ud835', 'answer': '3'}]",
    "[{'prompt': '1 + 2', 'answer': object()}]",
    "[{'prompt': '1 + 2', 'answer': {3}}]",
    "[{5: 6}]",
    "({} for _ in range(3))",
    "1 / 0",
    "exit(0)",
    "lambda: []",
)


def module_of(code: str) -> str:
    """A name of its own for each text, so that Python never takes another case's module for it."""
    return "user_" + hashlib.sha256(code.encode()).hexdigest()[:16]


def trained(changes: dict[str, Any], code: str) -> tuple[str, dict[str, bytes]]:
    """The name of the module, and the files of a run of one step that uses it."""
    name = module_of(code)
    recipe = tiny(train={"steps": 1, "prompts_per_step": 2}, evaluation={"before": False, "samples_per_problem": 0})
    text = yaml.safe_dump({**recipe, **changes}, sort_keys=False).replace("MODULE", name)
    return name, {NAME: text.encode(), f"{name}.py": code.encode()}


REWARD = {"reward": {"correctness": 1.0, "mine": {"function": "MODULE:f"}}}


@st.composite
def a_run(draw: st.DrawFn) -> tuple[str, ...]:
    """A dry run, or a run of one step."""
    dry = draw(st.booleans())
    return draw(as_json(("train", NAME, "--offline", "--dry-run" if dry else "--quiet")))


def reward_code(body: str, *, signature: str = "responses, problems", prefix: str = "def") -> str:
    return f"{prefix} f({signature}):\n" + "".join(f"    {line}\n" for line in body.splitlines())


@st.composite
def wrong_rewards(draw: st.DrawFn) -> Case:
    kind = draw(st.sampled_from(["raises", "returns", "signature", "module", "later"]))
    prefix = draw(st.sampled_from(["def", "async def"]))
    if kind == "raises":
        code = reward_code(f"raise {draw(st.sampled_from(ERRORS))}", prefix=prefix)
    elif kind == "returns":
        code = reward_code(f"return {draw(st.sampled_from(WRONG_RETURNS))}", prefix=prefix)
    elif kind == "signature":
        code = reward_code("return []", signature=draw(st.sampled_from(SIGNATURES)), prefix=prefix)
    elif kind == "module":
        code = draw(st.sampled_from(MODULES))
    else:  # right for the gold and the empty response of a dry run, wrong in the first step
        code = reward_code(f"if len(responses) > 4: raise {draw(st.sampled_from(ERRORS))}\nreturn {RIGHT_REWARD}")
        _, files = trained(REWARD, code)
        arguments = draw(as_json(("train", NAME, "--offline", "--quiet")))
        return Case("a reward function fails in the first step", arguments, files, "refused", ("reward.mine.function",))
    name, files = trained(REWARD, code)
    return Case(f"a reward function: {kind}", draw(a_run()), files, "refused", ("reward.mine", name))


@functools.cache
def plain_samples() -> str:
    """The samples of a run whose function only returns the right rewards."""
    _, files = trained(REWARD, reward_code(f"return {RIGHT_REWARD}"))
    with tempfile.TemporaryDirectory() as folder:
        for name, content in files.items():
            (Path(folder) / name).write_bytes(content)
        outcome = run_command(("train", NAME, "--offline", "--quiet", "run_dir=run"), Path(folder))
        assert outcome.code == 0, outcome
        return samples_of(Path(folder) / "run")


def samples_of(run: Path) -> str:
    return json.dumps(without_clock(rows(run / "samples.jsonl")))


def same_samples(folder: Path, outcome: Outcome) -> str | None:
    if not (folder / "run").exists():
        return None  # a dry run
    return None if samples_of(folder / "run") == plain_samples() else "the samples or their rewards are others"


@st.composite
def right_rewards(draw: st.DrawFn) -> Case:
    """Functions that return the right numbers, whatever else they do."""
    changes = draw(st.booleans())
    about = draw(st.sampled_from(CHANGES if changes else RIGHT_RETURNS))
    body = f"result = {RIGHT_REWARD}\n{about}\nreturn result" if changes else f"return {about}"
    code = reward_code(body, prefix=draw(st.sampled_from(["def", "async def"])))
    if draw(st.booleans()) and not changes:
        code = f"print('imported')\n{code}"
    _, files = trained(REWARD, code)
    arguments = (*draw(a_run()), "run_dir=run")
    expected = "either" if changes else "right"
    return Case(f"a reward function: {about}", arguments, files, expected, ("reward.mine",), same_samples)  # type: ignore[arg-type]


@st.composite
def wrong_verifiers(draw: st.DrawFn) -> Case:
    kind = draw(st.sampled_from(["verdicts", "gold", "module", "class"]))
    if kind == "verdicts":
        code = VERIFIER.format(returned=draw(st.sampled_from(WRONG_VERDICTS)), gold="reference['answer']")
    elif kind == "gold":
        code = VERIFIER.format(returned=RIGHT_VERDICTS, gold=draw(st.sampled_from(WRONG_GOLDS)))
    elif kind == "module":
        code = draw(st.sampled_from(MODULES))
    else:
        body = draw(st.sampled_from(["pass", "verify = None", "verify = gold_response = 5", "__init__ = None"]))
        code = f"class f:\n    {body}\n"
    if draw(st.booleans()) and kind == "verdicts":
        name = module_of(code)
        files = {f"{name}.py": code.encode()}
        arguments = ("verify", f"{name}:f", "--gold", "3", "--response", "3")
        single = "[ok" not in code and "(ok" not in code
        return Case("verify with a verifier", draw(as_json(arguments)), files, "refused" if single else "either")
    _, files = trained({"verifier": "MODULE:f"}, code)
    return Case(f"a verifier: {kind}", draw(a_run()), files, "refused", ())


@st.composite
def wrong_sources(draw: st.DrawFn) -> Case:
    kind = draw(st.sampled_from(["returns", "raises", "module", "signature"]))
    if kind == "returns":
        code = reward_code(f"return {draw(st.sampled_from(WRONG_ROWS))}", signature="")
    elif kind == "raises":
        code = reward_code(f"raise {draw(st.sampled_from(ERRORS))}", signature="")
    elif kind == "module":
        code = draw(st.sampled_from(MODULES))
    else:
        code = reward_code("return []", signature=draw(st.sampled_from(["first", "first, *, second", "**more"])))
    data = {"data": {"train": {"source": "MODULE:f"}, "prompt": {"style": "text", "template": "{question} ="}}}
    name, files = trained(data, code)
    if draw(st.booleans()):
        return Case(f"data show: {kind}", draw(as_json(("data", "show", f"{name}:f"))), files, "refused", (name,))
    return Case(f"a source: {kind}", draw(a_run()), files, "refused", (name,))
