"""Lean's real kernel on texts of the tests alone, without a sandbox: what the fakes of servers and tools answer with.

    python real_lean.py LIBRARY PRELUDE_FOLDER ARGUMENTS...

behaves as `lean ARGUMENTS...` of a toolchain whose `Init` is the small prelude; lines count from one more. It stands
alone: fakes copy it.
"""

from __future__ import annotations

import ctypes
import os
import re
import sys


def main() -> None:
    library, prelude, *arguments = sys.argv[1:]
    if "--print-prefix" in arguments:
        print(os.environ["FAKE_PREFIX"])
        return
    sources = [name for name in arguments if name.endswith(".lean")]
    for name in sources:
        with open(name, encoding="utf-8") as file:
            text = file.read()
        text = re.sub(r"^import (?:MiniPrelude|Mathlib)$", "", text, flags=re.MULTILINE)  # stands first, below
        with open(name, "w", encoding="utf-8") as file:
            file.write(f"prelude import MiniPrelude\n{text}")
    os.environ["LEAN_PATH"] = f"{os.environ.get('LEAN_PATH', '')}:{prelude}".lstrip(":")
    words = [word.encode() for word in ("lean", "-s", "8192", *arguments)]
    lean = ctypes.CDLL(library, mode=ctypes.RTLD_GLOBAL)
    sys.exit(lean.lean_main(len(words), (ctypes.c_char_p * (len(words) + 1))(*words, None)))


if __name__ == "__main__":
    main()
