"""Sources are parsed from several threads at a time."""

from __future__ import annotations

import subprocess
import sys
import textwrap

import pytest

from verifiers.python_source import UNPARSABLE, expression_of, tree_of

RACE = """
    import ast, gc, sys, threading, time

    from verifiers.python_source import tree_of

    parse = {parse}
    text = "\\n".join(f"x{{i}} = [a + {{i}} * (b - c) for a in range(3)]" for i in range(60))
    together, failures = threading.Barrier(4), []

    def deep(frames, work):
        return deep(frames - 1, work) if frames else work()

    def work():
        together.wait()
        for _ in range(20):
            try:
                parse(text)
            except SystemError as error:
                failures.append(str(error))

    gc.callbacks.append(lambda phase, info: time.sleep(1e-5))  # lets another thread in while a tree is built
    gc.set_threshold(100)
    threads = [threading.Thread(target=deep, args=(5 * i, work)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print(len(failures))
"""


def failures(parse: str) -> int:
    source = textwrap.dedent(RACE.format(parse=parse))
    done = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, check=True, timeout=120)
    return int(done.stdout)


def test_threads_parse_at_the_same_time() -> None:
    assert failures("tree_of") == 0


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="seen with 3.11")
def test_the_threads_would_fail_without_the_lock() -> None:
    assert failures("ast.parse") > 0


def test_one_expression() -> None:
    assert expression_of("1 + 2").lineno == 1
    with pytest.raises(SyntaxError):
        expression_of("x = 1")


@pytest.mark.parametrize("text", ["def f(:", "a\0b", "x = " + "(" * 300 + ")" * 300, "-" * 100_000 + "1"])
def test_what_is_no_source(text: str) -> None:
    with pytest.raises(UNPARSABLE):
        tree_of(text)


def test_no_warning_about_how_it_is_written(recwarn: pytest.WarningsRecorder) -> None:
    tree_of("'\\d' is 1")
    assert not recwarn.list
