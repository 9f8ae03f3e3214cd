"""Passing something from one sample to the next: each leaves something, and another program looks for it."""

from __future__ import annotations

from tests.verifiers.sandbox.attacks.attack import MARK, Attack

_LEAVE_FILES = f"""
for folder in ("/tmp", "/dev/shm", "/dev", "/", "/runner", "/proc"):
    try:
        open(folder + "/{MARK}", "w").write("x")
    except OSError:
        pass
print("held")
"""

_FIND_FILES = f"""
import os
folders = ("/", "/tmp", "/dev", "/dev/shm", "/runner", "/proc", "/usr", "/etc", "/root")
names = [os.path.join(folder, name) for folder in folders if os.path.isdir(folder) for name in os.listdir(folder)]
found = [name for name in names if "{MARK}" in name]
print(found or "held")
"""

_LEAVE_SOCKET = """
import os, socket, time
if os.fork() == 0:
    os.setsid()
    server = socket.socket(socket.AF_UNIX)
    server.bind("\\0left")
    server.listen()
    time.sleep(600)
print("held")
"""

_FIND_SOCKET = """
import socket
try:
    socket.socket(socket.AF_UNIX).connect("\\0left")
    print("harm")
except OSError:
    print("held")
"""

_LEAVE_STATE = """
import builtins, os, random, sys
builtins.print("held")
builtins.print = lambda *words: None
sys.modules["json"] = None
sys.path.insert(0, "/tmp")
os.environ["LEFT"] = "x"
random.seed(1)
os.umask(0)
os.chdir("/usr")
"""

_FIND_STATE = """
import json, os, sys
print("held" if "LEFT" not in os.environ and "/tmp" not in sys.path and os.getcwd() == "/tmp" else "harm")
"""

NEIGHBOURS = (
    Attack("files for the next sample", _LEAVE_FILES, then=_FIND_FILES),
    Attack("a socket for the next sample", _LEAVE_SOCKET, then=_FIND_SOCKET),
    Attack("a changed interpreter for the next sample", _LEAVE_STATE, then=_FIND_STATE),
)
