"""Passing something from one sample to the next. Each leaves something; a later one of the same name looks for it."""

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
found = [(folder, name) for folder in folders if os.path.isdir(folder) for name in os.listdir(folder) if "{MARK}" in name]
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
    Attack("files for the next: left", _LEAVE_FILES),
    Attack("files for the next: looked for", _FIND_FILES),
    Attack("a socket for the next: left", _LEAVE_SOCKET),
    Attack("a socket for the next: looked for", _FIND_SOCKET),
    Attack("a changed interpreter for the next: left", _LEAVE_STATE),
    Attack("a changed interpreter for the next: looked for", _FIND_STATE),
)
