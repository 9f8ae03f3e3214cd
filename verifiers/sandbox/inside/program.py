"""The process that runs the program. Everything here is in the program's hands from its first line on; so nothing here
decides anything, and nothing here knows what is expected.

On descriptor 3 come frames from the caller, and frames go back, by kind:

    script  <- {"source"}                      -> {"raised": [class, line, bases]} before an exit that is not 0
    calls   <- {"source"}                      -> {"ready"} or {"raised"}
            <- {"call", "function", "args"}    -> {"call"} with "value", "raised", "missing" or "died": status
    tests   <- {"source", "functions"}         -> {"ask", "function", "args"}, answered by {"value"} or {"raised"}
                                               -> {"passed"} or {"raised"}
    shared  <- {"source"}, then {"tests", "secret"}   -> {"passed": secret} or {"raised"}
"""

from __future__ import annotations

import _signal
import atexit
import builtins
import gc
import io
import marshal
import math
import mmap
import os
import resource
import signal
import sys
import time
import traceback
import types
from _socket import socket
from typing import Any, NoReturn

from verifiers.sandbox.inside import kernel
from verifiers.sandbox.inside.channel import frame_of, framed, receive_order, send
from verifiers.sandbox.values import TooLarge, decode, encode

DATA = 3
_FLUSH_S = 0.02
_RENEW_S = 0.1
_FRAME_BYTES = 1 << 28
_STACK_BYTES = 120 << 20  # the kernel keeps 128 MiB of address space free below the stack
_ANSWERED = 123  # the exit status of a process that has answered its call; a program that ends itself has another
_OWN_PROCESSES = 1  # the program itself
_IMPORTED = "program"  # the module's name where functions are called: its lines for `__main__` do not run then
_EXCEPTIONS = frozenset(
    each for each in vars(builtins).values() if isinstance(each, type) and issubclass(each, BaseException)
)


def start(
    kind: str,
    settings: dict[str, Any],
    streams: tuple[int, int | None, int | None],
    restrictions: list[kernel.Step],
    has_begun: mmap.mmap,
) -> NoReturn:
    """Becomes the program. Never returns.

    Args:
        streams: the frames' descriptor, standard input, standard output.
        has_begun: shared with the supervisor. Its first byte becomes 1 when all rights are given up and no line of the
            program has run yet; then it is out of the program's reach.
    """
    status = 70
    try:
        _take_streams(*streams)
        kernel.take(restrictions)
        has_begun[0] = 1
        has_begun.close()
        channel = socket(fileno=DATA)
        message, _ = receive_order(channel, _FRAME_BYTES)
        run = {"script": _script, "calls": _calls, "tests": _tests, "shared": _shared}[kind]
        status = run(channel, message, settings)
    except MemoryError:
        status = 71
    finally:
        os._exit(status)


def _take_streams(data: int, stdin: int | None, stdout: int | None) -> None:
    """Raises OSError for a descriptor that another one would hide."""
    if data < DATA or (stdin or DATA) < DATA or (DATA if stdout is None else stdout) < DATA:
        raise OSError("a standard stream of the process that starts programs is closed")
    nothing = os.open("/dev/null", os.O_RDWR)
    os.dup2(nothing if stdin is None else stdin, 0)
    os.dup2(nothing if stdout is None else stdout, 1)
    os.dup2(nothing, 2)
    os.dup2(data, DATA)
    os.closerange(DATA + 1, 256)


def restrictions_of(settings: dict[str, Any], filters: bytes | None) -> list[kernel.Step]:
    """What a program is kept within. `filters`: what seccomp refuses; None where the layer takes no rights away."""
    mb = 1 << 20
    seconds = math.ceil(settings["cpu_s"])
    forever = resource.RLIM_INFINITY
    steps = [kernel.new_session()]
    for name, soft, hard in (
        (resource.RLIMIT_CPU, seconds, forever if settings.get("share") else seconds + 1),
        (resource.RLIMIT_AS, settings["memory_mb"] * mb, None),
        (resource.RLIMIT_FSIZE, settings["disk_mb"] * mb, None),
        (resource.RLIMIT_NOFILE, settings["open_files"], None),
        (resource.RLIMIT_NPROC, settings["processes"] + _OWN_PROCESSES, None),
        (resource.RLIMIT_CORE, 1, None),
        (resource.RLIMIT_MEMLOCK, mb, None),
        (resource.RLIMIT_MSGQUEUE, mb, None),
        (resource.RLIMIT_SIGPENDING, 256, None),
        (resource.RLIMIT_STACK, _STACK_BYTES, _STACK_BYTES),
    ):
        steps.append(kernel.limit(name, soft, soft if hard is None else hard))
    if filters is not None:
        steps += [*kernel.give_up_rights(), kernel.refuse_system_calls(filters)]
    return steps


def module(source: str, name: str = "__main__") -> tuple[dict[str, Any], Any]:
    module = types.ModuleType(name)
    module.__dict__["__builtins__"] = builtins
    sys.modules["__main__"] = sys.modules[name] = module
    sys.argv = ["program.py"]
    return module.__dict__, compile(source, "program.py", "exec", dont_inherit=True)


def _raised(error: BaseException) -> list[Any]:
    """The class, the last line of the traceback, and the built-in classes that it is one of, the nearest first. The
    program's own `__str__` may do what it likes.
    """
    name = type.__dict__["__name__"].__get__(type(error))
    mro = type.__dict__["__mro__"].__get__(type(error))
    bases = [base.__name__ for base in mro if base in _EXCEPTIONS]
    try:
        line = traceback.format_exception_only(type(error), error)[-1].strip()
    except BaseException:  # whatever the program's exception does when it is written
        line = name
    line = line.removeprefix(f"{_IMPORTED}.")
    return [name[:100], line[:300].encode("utf-8", "replace").decode(), bases]


def _script(channel: socket, message: dict[str, Any], settings: dict[str, Any]) -> int:
    given = io.TextIOWrapper(io.BufferedReader(io.FileIO(0, closefd=False)), "utf-8", "surrogateescape")
    output = io.TextIOWrapper(io.BufferedWriter(io.FileIO(1, "w", closefd=False)), "utf-8", "surrogateescape")
    given.mode, output.mode = "r", "w"  # type: ignore[misc]
    sys.stdin = sys.__stdin__ = given  # type: ignore[misc]
    sys.stdout = sys.__stdout__ = output  # type: ignore[misc]
    status = 0
    try:
        names, code = module(message["source"])
        exec(code, names)
    except SystemExit as leaving:
        status = leaving.code if isinstance(leaving.code, int) else 0 if leaving.code is None else 1
        if status:
            send(channel, {"raised": ["SystemExit", f"exit status {status}", ["SystemExit"]]})
    except BaseException as error:  # whatever the program raises is its end
        send(channel, {"raised": _raised(error)})
        status = 1
    if threads := sys.modules.get("threading"):  # not imported here: what it does after a fork is dear
        threads._shutdown()  # waits for threads, as the end of an interpreter does
    atexit._run_exitfuncs()
    for stream in {output, sys.stdout}:
        if stream is None or getattr(stream, "closed", False) is True:  # a program may close it when all is written
            continue
        try:
            stream.flush()
        except (OSError, ValueError, AttributeError) as error:
            send(channel, {"raised": _raised(error)})
            status = status or 1
    return status & 0xFF


def _load(channel: socket, source: str) -> dict[str, Any] | None:
    try:
        names, code = module(source, _IMPORTED)
        exec(code, names)
    except BaseException as error:  # whatever the program raises is its end
        send(channel, {"raised": _raised(error)})
        return None
    return names


def _calls(channel: socket, message: dict[str, Any], settings: dict[str, Any]) -> int:
    names = _load(channel, message["source"])
    if names is None:
        return 1
    if "calls" in message:
        _shared_process(channel, message["calls"], names, settings)
    send(channel, {"ready": True})
    while True:
        call, _ = receive_order(channel, _FRAME_BYTES)
        if settings["share"]:
            _renew_time(settings)
            channel.sendall(answer_frame(call, names, settings))
            continue
        child = os.fork()
        if child == 0:
            channel.sendall(answer_frame(call, names, settings))
            os._exit(_ANSWERED)
        _, status = os.waitpid(child, 0)
        if os.waitstatus_to_exitcode(status) != _ANSWERED:
            send(channel, {"call": call["call"], "died": os.waitstatus_to_exitcode(status)})


def _renew_time(settings: dict[str, Any]) -> None:
    """The limit of a call counts from here on, and for those that begin within `_RENEW_S`."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    seconds = math.ceil(used.ru_utime + used.ru_stime + settings["cpu_s"] + _RENEW_S)
    soft, hard = resource.getrlimit(resource.RLIMIT_CPU)
    if seconds != soft:
        resource.setrlimit(resource.RLIMIT_CPU, (seconds, hard))


def _shared_process(
    channel: socket, calls: list[dict[str, Any]], names: dict[str, Any], settings: dict[str, Any]
) -> NoReturn:
    """All calls in this process, for programs that cannot keep anything from one to the next.

    Answers are sent together at the end; and every `_FLUSH_S` those that there are, with the number of the call that
    runs, so that the caller knows which one did not end.
    """
    answers = bytearray()
    running = -1

    def flush(*_: Any) -> None:
        nonlocal running
        news = bytes(answers)
        answers.clear()
        if running >= 0:
            news += frame_of({"running": running})
            running = -1
        channel.sendall(news)

    if len(calls) > 1:  # of one call that does not end the caller knows which it is
        _signal.signal(_signal.SIGALRM, flush)
        _signal.setitimer(_signal.ITIMER_REAL, _FLUSH_S, _FLUSH_S)
    renewed = -_RENEW_S
    for place, call in enumerate(calls):
        if place > 0:
            gc.collect()
        if (now := time.monotonic()) - renewed >= _RENEW_S:
            renewed = now
            _renew_time(settings)
        running = call["call"]
        answer = answer_frame(call, names, settings)
        running = -1
        answers += answer
    if len(calls) > 1:
        _signal.setitimer(_signal.ITIMER_REAL, 0)
    flush()
    while True:
        signal.pause()


def answer_frame(call: dict[str, Any], names: dict[str, Any], settings: dict[str, Any]) -> bytes:
    number = call["call"]
    try:
        try:
            function = _function(names, call["function"])
        except NameError as error:
            return frame_of({"call": number, "missing": str(error)})
        arguments = call["args"]
        args, kwargs = marshal.loads(arguments) if isinstance(arguments, bytes) else decode(arguments)
        text = encode(function(*args, **kwargs))
    except TooLarge as error:
        return frame_of({"call": number, "too_large": str(error)})
    except BaseException as error:  # whatever the program raises is the outcome
        return frame_of({"call": number, "raised": _raised(error)})
    if len(text) > settings["output_bytes"]:
        return frame_of({"call": number, "too_large": f"a value of {len(text)} bytes"})
    return framed(f'{{"call":{number},"value":{text}}}'.encode())


def _function(names: dict[str, Any], path: str) -> Any:
    owner, _, method = path.partition(".")
    if owner not in names:  # a built-in of that name is not the program's
        raise NameError(f"the program does not define {owner!r}")
    target = names[owner]
    if not method:
        return target
    instance = target()
    if not hasattr(instance, method):
        raise NameError(f"the program's class {owner!r} does not define {method!r}")
    return getattr(instance, method)


class _Asked:
    """A function of the program, for test text that runs in a sandbox of its own."""

    def __init__(self, channel: socket, name: str) -> None:
        self._channel, self.__name__ = channel, name

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        send(self._channel, {"ask": True, "function": self.__name__, "args": encode((args, kwargs))})
        answer, _ = receive_order(self._channel, _FRAME_BYTES)
        if "raised" not in answer:
            return decode(answer["value"])
        raise _exception_of(*answer["raised"])


def _exception_of(name: str, line: str, bases: list[str]) -> Exception:
    """What a call has raised, for test text that may expect it."""
    near = next((base for base in map(vars(builtins).get, bases) if base in _EXCEPTIONS), Exception)
    base = near if issubclass(near, Exception) else Exception
    message = line.partition(": ")[2]
    if issubclass(base, (StopIteration, StopAsyncIteration)):
        # It would end a loop of the test over `map(f, xs)` as if all had been well (PEP 479 does the same).
        return RuntimeError(f"the program raised {line}")
    if base is KeyError and message[:1] == message[-1:] == "'":  # its text is the repr of the key
        message = message[1:-1]
    kind = base if base.__name__ == name else type(name, (base,), {})
    try:
        return kind(message)
    except TypeError:  # UnicodeDecodeError and the like want more than a message
        return type(name, (ValueError if issubclass(base, ValueError) else Exception,), {})(message)


def _tests(channel: socket, message: dict[str, Any], settings: dict[str, Any]) -> int:
    try:
        names, code = module(message["source"])
        for function in message["functions"]:
            names[function] = _Asked(channel, function)
        exec(code, names)
    except BaseException as error:  # a failed assert, or what the tests raise
        send(channel, {"raised": _raised(error)})
        return 1
    send(channel, {"passed": True})
    return 0


def _shared(channel: socket, message: dict[str, Any], settings: dict[str, Any]) -> int:
    names = _load(channel, message["source"])
    if names is None:
        return 1
    send(channel, {"ready": True})
    tests, _ = receive_order(channel, _FRAME_BYTES)
    names["__name__"] = "__main__"
    try:
        exec(compile(tests["tests"], "tests.py", "exec", dont_inherit=True), names)
    except BaseException as error:  # a failed assert, or what the program raises
        send(channel, {"raised": _raised(error)})
        return 1
    send(channel, {"passed": tests["secret"]})
    return 0
