"""Using up what there is: time, memory, processes, files, output. Runs with small limits (see `LIMITS`)."""

from __future__ import annotations

from tests.verifiers.sandbox.attacks.attack import HELD, TIME, Attack
from verifiers.sandbox import Ending, Limits

LIMITS = Limits(cpu_s=0.8, wall_factor=1.5, memory_mb=256, processes=8, output_bytes=1 << 16)

_MEMORY = frozenset({Ending.MEMORY_LIMIT})
_OUTPUT = frozenset({Ending.OUTPUT_LIMIT})
_ERROR = frozenset({Ending.ERROR})

_FORK_BOMB = "import os\nwhile True:\n    try:\n        os.fork()\n    except OSError:\n        pass"

_COUNTED_FORKS = """
import os, time
made = 0
try:
    while made < 100:
        if os.fork() == 0:
            time.sleep(600)
        made += 1
except OSError:
    pass
print("held" if made <= 12 else made)
"""

_CHURN = """
import os, signal, time
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
while True:
    try:
        if os.fork() == 0:
            while time.process_time() < 0.02:
                pass
            os._exit(0)
    except OSError:
        pass
"""

_MEMORY_IN_PROCESSES = """
import os, time
for _ in range(6):
    if os.fork() == 0:
        break
block = bytearray(200 << 20)
time.sleep(600)
"""

_FILES = """
count = 0
try:
    while count < 100_000:
        open(f"/tmp/{count}", "w").close()
        count += 1
except OSError:
    pass
print("held" if count < 5000 else count)
"""

_DISK = """
total = 0
for folder in ("/tmp", "/dev/shm"):
    for number in range(20):
        try:
            with open(f"{folder}/{len(folder)}-{number}", "wb") as file:
                for _ in range(20):
                    total += file.write(b"x" * 1_000_000)
        except OSError:
            pass
print("held" if total < 40_000_000 else total)
"""

_DESCRIPTORS = """
import os
made = []
try:
    while len(made) < 10_000:
        made += os.pipe()
except OSError:
    pass
print("held" if len(made) <= 64 else len(made))
"""

_TERMINALS = """
import os
for _ in range(2000):
    try:
        os.openpty()
    except OSError:
        break
print("held")
"""

_IN_FLIGHT = """
import array, os, socket
ends = [socket.socketpair() for _ in range(8)]
for left, right in ends:
    left.setblocking(False)
    try:
        while True:
            rights = array.array("i", [end.fileno() for pair in ends for end in pair])
            left.sendmsg([b"x"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)])
    except OSError:
        pass
print("held")
"""

_DEEP_IN_C = """
nested = []
for _ in range(300_000):
    nested = [nested]
try:
    print(len(repr(nested)))
except RecursionError:
    print("held")
"""

_DEEP = "import sys\nsys.setrecursionlimit(10**9)\ndef deeper(n):\n    return deeper(n + 1) + 1\ndeeper(0)"

FLOODS = (
    Attack("a loop", "while True:\n    pass", TIME, b""),
    Attack("sleep", "import time\ntime.sleep(600)", TIME, b""),
    Attack("sleep in short pieces", "import time\nwhile True:\n    time.sleep(0.01)", TIME, b""),
    Attack("a wait for input that never comes", "import os\nread, write = os.pipe()\nos.read(read, 1)", TIME, b""),
    Attack("a loop that ignores the processor limit",
           "import signal\nsignal.signal(signal.SIGXCPU, signal.SIG_IGN)\nwhile True:\n    pass", TIME, b""),
    Attack("a loop with the alarm off",
           "import signal\nsignal.setitimer(signal.ITIMER_REAL, 0)\nsignal.alarm(0)\nwhile True:\n    pass", TIME, b""),
    Attack("a computation inside of C that no signal handler interrupts", "x = 7 ** 7 ** 8\nprint(len(str(x)))",
           TIME | _ERROR | _MEMORY, b""),
    Attack("a pattern that backtracks", "import re\nre.match('(a+)+$', 'a' * 40 + 'b')", TIME, b""),
    Attack("children whose time nobody counts", _CHURN, TIME, b""),
    Attack("a fork bomb", _FORK_BOMB, TIME, b""),
    Attack("processes, counted", _COUNTED_FORKS),
    Attack("threads", "import threading, time\nwhile True:\n"
           "    threading.Thread(target=time.sleep, args=(600,), daemon=True).start()", _ERROR | TIME, b""),
    Attack("one large block", "block = bytearray(1 << 30)", _MEMORY, b""),
    Attack("many blocks", "blocks = []\nwhile True:\n    blocks.append('x' * 1_000_000)", _MEMORY, b""),
    Attack("blocks, with the error caught",
           "blocks = []\nwhile True:\n    try:\n        blocks.append(bytearray(1 << 20))\n    except MemoryError:\n"
           "        pass", TIME, b""),
    Attack("memory in many processes", _MEMORY_IN_PROCESSES, _MEMORY | TIME, b""),
    Attack("files", _FILES),
    Attack("large files", _DISK),
    Attack("descriptors", _DESCRIPTORS),
    Attack("terminals", _TERMINALS),
    Attack("descriptors on their way", _IN_FLIGHT),
    Attack("output", "while True:\n    print('x' * 100_000)", _OUTPUT, None),
    Attack("output without a line's end", "import sys\nwhile True:\n    sys.stdout.write('x')", _OUTPUT, None),
    Attack("output from many processes", "import os\nfor _ in range(2):\n    os.fork()\n"
           "while True:\n    os.write(1, b'x' * 1000)", _OUTPUT | _ERROR, None),
    Attack("output on standard error", "import sys\nfor _ in range(2000):\n    sys.stderr.write('x' * 10_000)\n"
           "print('held')"),
    Attack("output that is no text", "import os\nos.write(1, bytes([255, 254, 0, 128]))",
           stdout=bytes([255, 254, 0, 128])),
    Attack("output with half of a character", "print('\\ud800'.encode('utf-8', 'surrogatepass') and 'held')"),
    Attack("recursion", _DEEP, frozenset({Ending.ERROR, Ending.MEMORY_LIMIT}) | TIME, b""),
    Attack("recursion in C", _DEEP_IN_C, frozenset({Ending.FINISHED, Ending.ERROR}), None),
    Attack("a class whose parents nobody can order", "class A: pass\nclass B(A): pass\nclass C(A, B): pass",
           _ERROR, b""),
    Attack("code that takes for ever to compile", "x = " + "(" * 150 + "1" + ")" * 150 + "\nprint('held')",
           frozenset({Ending.FINISHED, Ending.ERROR}), None),
    Attack("a constant that takes for ever to fold", "x = ((1 << 100) ** 100) ** 100\nprint('held')", stdout=HELD),
    Attack("an exception that cannot be written", "class E(Exception):\n    def __str__(self):\n"
           "        raise E\nraise E",
           _ERROR, b""),
    Attack("an exception of endless length", "raise ValueError('x' * 10_000_000)", _ERROR, b""),
    Attack("an exit status beyond a byte", "import sys\nsys.exit(256 * 7 + 1)", _ERROR, b""),
    Attack("an exit that fails", "import atexit, os\natexit.register(os._exit, 3)", _ERROR, b""),
)  # fmt: skip
