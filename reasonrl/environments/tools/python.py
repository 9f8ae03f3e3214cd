"""The tool `python`: runs a program of the policy in the sandbox that the code verifier uses.

Stateless (the default; THOR, ToRL, ReTool): each call is a program of its own. Stateful: a call sees what earlier calls
of its episode defined. The earlier cells are then run again before the new one, without their output, in a process that
lives for this call alone, with Python's random numbers seeded by the episode. So a session is a list of texts: it needs
no process that must survive, be moved or be killed, and a resumed run has it again bit for bit. Its price is that time
grows with the number of cells, which the limits allow for.

The policy reads what the program printed, the value of a last line that is an expression (as a notebook shows it), and
the last line of a traceback. A program that says nothing is answered by a word, and never by an invented error.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from reasonrl.engines.base import derive_seed
from reasonrl.environments.tools.base import CallStatus, ToolResult
from reasonrl.errors import ReasonRLError, RecipeError
from reasonrl.user_code.daemon_threads import in_own_thread
from verifiers.sandbox import open_sandbox
from verifiers.sandbox.types import Ending, Limits, Outcome, Sandbox, SandboxUnavailable, Stdin

SILENT = "(no output)"
_WAIT_S = 60.0
"""Beyond the limits of the sandbox, which come first where the machine is sound."""
_CELLS = """\
import ast as _ast, os as _os, sys as _sys
{seeding}
_cells = {cells!r}
_names = {{"__name__": "__main__", "__builtins__": __builtins__}}
def _run(_text):
    _tree = _ast.parse(_text, "cell.py")
    _last = _tree.body.pop() if _tree.body and isinstance(_tree.body[-1], _ast.Expr) else None
    exec(compile(_tree, "cell.py", "exec"), _names)
    if _last is not None:
        _value = eval(compile(_ast.Expression(_last.value), "cell.py", "eval"), _names)
        if _value is not None:
            print(repr(_value))
def _flush():
    for _stream in (_sys.stdout, _sys.__stdout__):
        try:
            _stream.flush()
        except BaseException:
            pass
if len(_cells) > 1:
    _out, _null = _os.dup(1), _os.open(_os.devnull, _os.O_WRONLY)
    _os.dup2(_null, 1)
    for _cell in _cells[:-1]:
        try:
            _run(_cell)
        except BaseException:
            pass
    _flush()
    _os.dup2(_out, 1)
try:
    _run(_cells[-1])
finally:
    if {end!r}:
        _flush()
        _os.write(1, {end!r})
"""
"""The output of earlier cells goes nowhere, whatever they write it with. `end` says that the last one came to its end:
a cell that kills its process would kill every later one.
"""


class PythonTool:
    """Options of a recipe: `{name: python, stateful: true, cpu_s: 3, memory_mb: 512}`.

    Args:
        stateful: a call sees what earlier calls of its episode defined.
        cpu_s: processor seconds of one call. A program that uses them up is the policy's mistake.
        memory_mb: address space of a program.
        isolation: see `verifiers.sandbox.open_sandbox`.
        workers: calls that run at one time.

    Raises RecipeError for a wrong option, and ReasonRLError where this machine offers no isolation.
    """

    name = "python"
    is_instant = False

    def __init__(
        self,
        *,
        stateful: bool = False,
        cpu_s: float = 3.0,
        memory_mb: int = 512,
        isolation: str = "auto",
        workers: int = 2,
    ) -> None:
        for option, value, least, most in (("cpu_s", cpu_s, 0.1, 600), ("memory_mb", memory_mb, 64, 1 << 20)):
            if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= most:
                raise RecipeError(f"{option}: expected a number from {least} to {most}, got {value!r}")
        if isinstance(workers, bool) or not isinstance(workers, int) or not 1 <= workers <= 256:
            raise RecipeError(f"workers: expected a whole number from 1 to 256, got {workers!r}")
        self.description = "Runs a Python program. You read what it prints" + (
            "; names stay defined from one call to the next." if stateful else "; each call is a program of its own."
        )
        self.parameters = {
            "type": "object",
            "properties": {"code": {"type": "string", "description": "the program"}},
            "required": ["code"],
        }
        self.limits = Limits(cpu_s=float(cpu_s), memory_mb=int(memory_mb), output_bytes=1 << 18)
        self.stateful = stateful
        self.sandbox = _sandbox(isolation, workers)
        self.at_once = workers
        self.deadline_s = 5 * self.limits.wall_s + _WAIT_S

    def session(self, seed: int) -> PythonSession:
        return PythonSession(self, seed)


class PythonSession:
    """The cells of one episode."""

    def __init__(self, tool: PythonTool, seed: int) -> None:
        self._tool, self._seed = tool, seed
        self._cells: list[str] = []

    async def call(self, arguments: dict[str, Any]) -> ToolResult:
        cells = [*self._cells, arguments["code"]]
        end = f"\x1e{derive_seed(self._seed, 'end', len(cells)):016x}".encode() if self._tool.stateful else b""
        outcome = await in_own_thread(lambda: self._run(cells, end))
        if self._tool.stateful and outcome.ending in (Ending.FINISHED, Ending.ERROR) and end in outcome.stdout:
            self._cells = cells  # what was cut off is not tried again
        return result_of(replace(outcome, stdout=outcome.stdout.replace(end, b"")), self._tool.limits)

    async def close(self) -> None:
        self._cells.clear()

    def _run(self, cells: Sequence[str], end: bytes) -> Outcome:
        limits = replace(self._tool.limits, cpu_s=self._tool.limits.cpu_s * len(cells))
        draws = any("random" in cell for cell in cells)
        seeding = f"import random as _random; _random.seed({self._seed})" if draws else ""
        program = _CELLS.format(seeding=seeding, cells=list(cells), end=end)
        (outcome,) = self._tool.sandbox.run(program, [Stdin()], limits)
        return outcome


def result_of(outcome: Outcome, limits: Limits) -> ToolResult:
    """What the policy reads of a run."""
    text = outcome.stdout.decode("utf-8", "replace").rstrip()
    if not outcome.is_judged:
        return ToolResult(f"python: {outcome.error}", CallStatus.BROKEN)
    if outcome.ending is Ending.FINISHED:
        return ToolResult(text or SILENT)
    error = outcome.error
    if outcome.ending is Ending.TIME_LIMIT:
        error = f"TimeoutError: more than {limits.cpu_s:g} s"
    elif outcome.ending is Ending.MEMORY_LIMIT:
        error = f"MemoryError: more than {limits.memory_mb} MB"
    elif outcome.ending is Ending.OUTPUT_LIMIT:
        error = f"OutputError: more than {limits.output_bytes} bytes of output"
    status = CallStatus.TIMEOUT if outcome.ending is Ending.TIME_LIMIT else CallStatus.ERROR
    return ToolResult(f"{text}\n{error}" if text else error, status)


@functools.cache
def _sandbox(isolation: str, workers: int) -> Sandbox:
    """One for all environments of a process: training and evaluation make one each."""
    try:
        return open_sandbox(isolation, workers=workers)
    except ValueError as error:
        raise RecipeError(f"isolation: {error}") from error
    except SandboxUnavailable as error:
        raise ReasonRLError(f"the tool python needs a sandbox: {error}") from error
