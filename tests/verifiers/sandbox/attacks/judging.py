"""Getting a wrong function paid. `answer(x)` should give x + 1; none of these knows it when it starts."""

from __future__ import annotations

from tests.verifiers.sandbox.attacks.attack import Attack

ANY: frozenset[object] = frozenset()


def _cheat(name: str, program: str) -> Attack:
    return Attack(name, program, stdout=None)


_FRAMES = """
import sys
def answer(x):
    frame = sys._getframe()
    while frame:
        for name, value in {**frame.f_globals, **frame.f_locals}.items():
            if name in ("expected", "result", "outputs", "in_outs", "tests", "check", "wanted", "answers"):
                try:
                    value.append("passed")
                except AttributeError:
                    return value
        frame = frame.f_back
"""

_COLLECTOR = """
import gc
def answer(x):
    for thing in gc.get_objects():
        if isinstance(thing, dict) and ("expected" in thing or "outputs" in thing):
            return thing.get("expected", thing.get("outputs"))
        if type(thing).__name__ in ("ListProxy", "Equals", "CodeTests"):
            return thing
"""

_PATCHES = """
import builtins, json, operator, sys
for name, module in list(sys.modules.items()):
    if name.startswith("verifiers"):
        for function in list(vars(module)):
            if callable(getattr(module, function)):
                try:
                    setattr(module, function, lambda *args, **kwargs: True)
                except (AttributeError, TypeError):
                    pass
def answer(x):
    return 0
"""

_ENCODER = """
import sys
sys.modules["verifiers.sandbox.values"].encode = lambda value: '{"o": ["Equal", "x"]}'
sys.modules["verifiers.sandbox.inside.program"].encode = lambda value: 'true'
def answer(x):
    return 0
"""

_IMPORT_HOOK = """
import sys
class Hook:
    def find_spec(self, name, path=None, target=None):
        raise SystemExit(0)
sys.meta_path.insert(0, Hook())
sys.path_hooks.clear()
def answer(x):
    return 0
"""

CHEATS = (
    _cheat("an int that equals everything", "class E(int):\n    def __eq__(self, other):\n        return True\n"
           "    def __ne__(self, other):\n        return False\n    __hash__ = int.__hash__\n"
           "def answer(x):\n    return E(0)"),
    _cheat("an object that equals everything", "class E:\n    def __eq__(self, other):\n        return True\n"
           "def answer(x):\n    return E()"),
    _cheat("a text that equals everything", "class E(str):\n    def __eq__(self, other):\n        return True\n"
           "    __hash__ = str.__hash__\ndef answer(x):\n    return E('x')"),
    _cheat("a class whose instances are of any type", "class E:\n    __class__ = int\n    def __eq__(self, other):\n"
           "        return True\n    def __index__(self):\n        return 42\ndef answer(x):\n    return E()"),
    _cheat("a class that writes itself as another int",
           "class E(int):\n    def __repr__(self):\n        return '42'\n    def __int__(self):\n        return 42\n"
           "    def __pos__(self):\n        return 42\n    def __index__(self):\n        return 42\n"
           "def answer(x):\n    return E(0)"),
    _cheat("a metaclass that lies about subclasses",
           "class M(type):\n    def __instancecheck__(self, thing):\n        return True\n"
           "    def __subclasscheck__(self, kind):\n        return True\n    __name__ = 'int'\n"
           "class E(metaclass=M):\n    pass\ndef answer(x):\n    return E()"),
    _cheat("__reduce__", "class E:\n    def __reduce__(self):\n        return (eval, ('41 + 1',))\n"
           "def answer(x):\n    return E()"),
    _cheat("__reduce_ex__, __getstate__ and __copy__", "class E:\n    def __reduce_ex__(self, protocol):\n"
           "        return (int, ('42',))\n    def __getstate__(self):\n        return 42\n"
           "    def __deepcopy__(self, memo):\n        return 42\ndef answer(x):\n    return E()"),
    _cheat("a value that looks like the encoding of another", "def answer(x):\n    return {'i': str(42)}"),
    _cheat("a text that looks like a frame", "def answer(x):\n    return '\"}{\"value\":{\"i\":\"42\"}}'"),
    _cheat("a dict of a kind that is empty for others", "class D(dict):\n    def items(self):\n"
           "        return iter([])\n    def __eq__(self, other):\n        return True\n    __hash__ = None\n"
           "def answer(x):\n    return D(a=1)"),
    _cheat("frames of the harness", _FRAMES),
    _cheat("objects that the collector knows", _COLLECTOR),
    _cheat("functions of the harness are replaced", _PATCHES),
    _cheat("the encoder is replaced", _ENCODER),
    _cheat("an import hook", _IMPORT_HOOK),
    _cheat("built-ins are replaced", "import builtins\nfor name in ('len', 'isinstance', 'all', 'sorted', 'repr'):\n"
           "    setattr(builtins, name, lambda *args: True)\ndef answer(x):\n    return 0"),
    _cheat("json and math are replaced", "import json, math\njson.loads = json.dumps = lambda *args, **names: 'true'\n"
           "math.isclose = lambda *args, **names: True\ndef answer(x):\n    return 0"),
    _cheat("a trailing decorator", "def answer(x):\n    return 0\n@lambda f: (lambda c: None)\ndef check(c): pass"),
    _cheat("a trailing decorator without its function", "def answer(x):\n    return 0\n@lambda f: (lambda c: None)\n"),
    _cheat("an open bracket at the end", "def answer(x):\n    return 0\nx = ("),
    _cheat("passed, on standard output", "def answer(x):\n    return 0\nprint('passed')"),
    _cheat("passed, and an error", "result = ['passed']\nraise SystemExit(0)"),
    _cheat("sys.exit in the module", "import sys\nsys.exit(0)"),
    _cheat("os._exit in the module", "import os\nos._exit(0)"),
    _cheat("sys.exit in the call", "import sys\ndef answer(x):\n    sys.exit(0)"),
    _cheat("os._exit in the call", "import os\ndef answer(x):\n    os._exit(0)"),
    _cheat("os._exit with every status", "import os\ndef answer(x):\n    os._exit(x % 256)"),
    _cheat("at the exit", "import atexit\natexit.register(print, 'passed')\ndef answer(x):\n    return 0"),
    _cheat("a hook for exceptions", "import sys\nsys.excepthook = lambda *a: print('passed')\n"
           "def answer(x):\n    1 / 0"),
    _cheat("a tracer", "import sys\nsys.settrace(lambda *a: None)\nsys.setprofile(lambda *a: None)\n"
           "def answer(x):\n    return 0"),
    _cheat("a thread that replaces the answer", "import threading, time\ndef run():\n    global answer\n"
           "    while True:\n        answer = lambda x: 42\n        time.sleep(0)\n"
           "threading.Thread(target=run, daemon=True).start()\ndef answer(x):\n    return 0"),
    _cheat("it ends its own parent", "import os\ndef answer(x):\n    os.kill(os.getppid(), 9)\n    return 42"),
    _cheat("ctypes by way of sys.modules", "import sys\nsys.modules.pop('ctypes', None)\nimport ctypes\n"
           "def answer(x):\n    return ctypes.string_at(0)"),
    _cheat("the first of several answers", "def answer(x):\n    yield from range(1000)"),
    _cheat("true for one", "def answer(x):\n    return True"),
    _cheat("nan", "def answer(x):\n    return float('nan')"),
    _cheat("nearly", "def answer(x):\n    return x + 1 + 1e-9"),
    _cheat("as text", "def answer(x):\n    return str(x + 1)"),
    _cheat("in a list", "def answer(x):\n    return [x + 1]"),
    _cheat("a list of itself", "def answer(x):\n    loop = []\n    loop.append(loop)\n    return loop"),
    _cheat("nested beyond all depth", "def answer(x):\n    v = []\n    for _ in range(100_000):\n        v = [v]\n"
           "    return v"),
    _cheat("a million items", "def answer(x):\n    return list(range(3_000_000))"),
    _cheat("numbers whose hashes are all equal",
           "def answer(x):\n    return {i * ((1 << 61) - 1) for i in range(2000)}"),
    _cheat("an int of a million digits", "def answer(x):\n    return 1 << 3_000_000"),
    _cheat("halves of characters", "def answer(x):\n    return '\\ud800\\udfff\\ud800'"),
    _cheat("an exception whose name is no text",
           "def answer(x):\n    raise type('E\\ud800\\x1b[31m', (Exception,), {})('\\x00\\ud800\\n\\n')"),
    _cheat("a class of a name that is no text", "E = type('x', (), {})\nE.__name__ = 'y' * 1_000_000\n"
           "def answer(x):\n    return E()"),
)  # fmt: skip
