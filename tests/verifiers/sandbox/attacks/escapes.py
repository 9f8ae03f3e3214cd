"""Reaching files, other processes, the network, the environment, and privileges."""

from __future__ import annotations

from tests.verifiers.sandbox.attacks.attack import MARK, TIME, Attack, held

_ONLY_OWN_FOLDERS = """
import os
places = []
for folder, folders, _ in os.walk("/"):
    if folder.count("/") > 3:
        folders.clear()
    try:
        with open(os.path.join(folder, "MARK"), "w") as file:
            file.write("x")
        places.append(folder)
    except OSError:
        pass
print("held" if set(places) <= {"/tmp", "/dev/shm"} else places)
""".replace("MARK", MARK)

_ONLY_OWN_DESCRIPTORS = """
import os
found = []
for number in range(1024):
    try:
        os.fstat(number)
    except OSError:
        continue
    found.append(number)
print("held" if found == [0, 1, 2, 3] else found)
"""

_DEVICES = """
import os
opened = []
for folder, _, names in os.walk("/dev"):
    for name in names:
        path = os.path.join(folder, name)
        if os.path.basename(path) in ("null", "zero", "full", "random", "urandom"):
            continue
        try:
            opened.append((path, os.open(path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)))
        except OSError:
            pass
print("held" if all("pt" in path for path, _ in opened) else opened)
"""

_SETUID = """
import os, subprocess
for path in ("/usr/bin/su", "/usr/bin/passwd", "/usr/bin/newgrp", "/usr/bin/mount", "/usr/bin/sudo"):
    if os.path.exists(path):
        subprocess.run([path, "--help"], capture_output=True)
print("held" if os.getuid() == os.geteuid() != 0 else os.getresuid())
"""

_NO_RIGHTS = """
import ctypes, os
tried = []
for call in (os.setuid, os.setgid, os.seteuid, os.setegid):
    try:
        call(0)
        tried.append(call)
    except OSError:
        pass
libc = ctypes.CDLL(None, use_errno=True)
head = (ctypes.c_uint32 * 2)(0x20080522, 0)
data = (ctypes.c_uint32 * 6)()
libc.capget(head, data)
no_new_rights = libc.prctl(39, 0, 0, 0, 0)
print("held" if not tried and not any(data) and no_new_rights == 1 else (tried, list(data), no_new_rights))
"""

_KILL_ALL_OTHERS = """
import os, signal
for number in (signal.SIGKILL, signal.SIGSTOP, signal.SIGTERM, signal.SIGINT, signal.SIGXCPU, signal.SIGRTMIN):
    for process in [1, os.getppid(), *range(3, 300)]:
        if process != os.getpid():
            try:
                os.kill(process, number)
            except OSError:
                pass
print("held")
"""

_SEEN_PROCESSES = """
import os
seen = []
for process in range(1, 5000):
    try:
        os.kill(process, 0)
        seen.append(process)
    except OSError:
        pass
print("held" if set(seen) <= {1, os.getpid()} else seen)
"""

ESCAPES = (
    Attack("files can be made in its own folders alone", _ONLY_OWN_FOLDERS),
    held("a file in the home of the caller", f"open('/root/{MARK}', 'w')\nprint('harm')"),
    held("a file in /usr", f"open('/usr/{MARK}', 'w')\nprint('harm')"),
    held("a file beside the interpreter", f"open(sys.prefix + '/{MARK}', 'w')\nprint('harm')"),
    held("io.FileIO instead of open", f"import io\nio.FileIO('/var/tmp/{MARK}', 'w')\nprint('harm')"),
    held("a file of the runner", "open('/runner/verifiers/sandbox/values.py', 'w')\nprint('harm')"),
    held("the runner's folder gets another name", "os.rename('/runner', '/runner2')\nprint('harm')"),
    held("a symlink in the working folder to a place outside",
         f"os.symlink('/usr/lib', 'out')\nopen('out/{MARK}', 'w')\nprint('harm')"),
    held("a hard link to a file outside", "os.link('/usr/bin/env', 'env')\nprint('harm')"),
    held("a device node", "os.mknod('disk', 0o60666, os.makedev(8, 0))\nopen('disk', 'rb')\nprint('harm')"),
    held("the machine's own /proc", "os.open('/proc/self/mem', os.O_RDONLY)\nprint('harm')"),
    held("the supervisor's environment in /proc", "open('/proc/1/environ').read()\nprint('harm')"),
    held("the caller's arguments in /proc", "open(f'/proc/{os.getppid()}/cmdline').read()\nprint('harm')"),
    held("open descriptors in /proc", "os.listdir('/proc/self/fd')\nprint('harm')"),
    held("open descriptors in /dev/fd", "os.listdir('/dev/fd/')\nprint('harm')"),
    held("/sys", "os.listdir('/sys')\nprint('harm')"),
    held("the passwords' file", "open('/etc/shadow')\nprint('harm')"),
    held("the users' file", "open('/etc/passwd')\nprint('harm')"),
    held("/proc is mounted again by a helper program",
         "import subprocess\n"
         "assert subprocess.run(['/usr/bin/mount', '-t', 'proc', 'proc', '/tmp'], capture_output=True).returncode\n"
         "raise OSError"),
    held("unshare, as a program", "import subprocess\n"
         "assert subprocess.run(['/usr/bin/unshare', '-Ur', 'true'], capture_output=True).returncode\nraise OSError"),
    held("a connection to the internet", "socket.create_connection(('192.0.2.1', 80), 1)\nprint('harm')"),
    held("a server on this machine", "socket.socket().bind(('127.0.0.1', 0))\nprint('harm')"),
    held("a datagram", "socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\nprint('harm')"),
    held("IPv6", "socket.socket(socket.AF_INET6)\nprint('harm')"),
    held("netlink", "socket.socket(socket.AF_NETLINK, socket.SOCK_RAW)\nprint('harm')"),
    held("packets", "socket.socket(socket.AF_PACKET, socket.SOCK_RAW)\nprint('harm')"),
    held("virtual machine sockets", "socket.socket(socket.AF_VSOCK)\nprint('harm')"),
    held("a pair of sockets of a rare kind", "socket.socketpair(30, socket.SOCK_STREAM)\nprint('harm')"),
    held("the clock", "import time\ntime.clock_settime(time.CLOCK_REALTIME, 0)\nprint('harm')"),
    held("another root", "os.chroot('/tmp')\nprint('harm')"),
    held("another host name", "socket.sethostname('x')\nprint('harm')"),
    held("typing into a terminal", "import fcntl\nfcntl.ioctl(0, 0x5412, b'x')\nprint('harm')"),
    held("typing into the controlling terminal", "os.open('/dev/tty', os.O_RDWR)\nprint('harm')"),
    Attack("no descriptor is left open", _ONLY_OWN_DESCRIPTORS),
    Attack("no device but those that hold nothing", _DEVICES),
    Attack("programs that change the user", _SETUID),
    Attack("no right is left", _NO_RIGHTS),
    Attack("signals to everybody", _KILL_ALL_OTHERS),
    Attack("only the supervisor and itself are seen", _SEEN_PROCESSES),
    Attack("the environment", "import os\nsecret = set(os.environ) - {'PATH', 'HOME', 'LANG', 'PWD', 'LC_CTYPE'}\n"
           "print(secret or 'held')"),
    Attack("the arguments", "import sys\nprint('held' if sys.argv == ['program.py'] else sys.argv)"),
    Attack("it kills its own group", "import os\nos.killpg(0, 9)\nprint('held')"),
    Attack("it kills the group of its parent",
           "import os, signal\ntry:\n    os.killpg(os.getpgid(os.getppid()), 9)\nexcept OSError:\n    print('held')"),
    Attack("it stops itself", "import os, signal\nos.kill(os.getpid(), signal.SIGSTOP)\nprint('held')"),
    Attack("it stops a child that it waits for", "import os, signal, time\nchild = os.fork()\nif not child:\n"
           "    os.kill(os.getpid(), signal.SIGSTOP)\n    time.sleep(600)\nos.waitpid(child, 0)", TIME, b""),
    Attack("a process that outlives it",
           "import os, time\nif os.fork() == 0:\n    os.setsid()\n    if os.fork() == 0:\n        time.sleep(600)\n"
           "    os._exit(0)\nprint('held')"),
    Attack("a process that outlives it and ignores all signals",
           "import os, signal, time\nif os.fork() == 0:\n    for number in range(1, 65):\n        try:\n"
           "            signal.signal(number, signal.SIG_IGN)\n        except (OSError, ValueError):\n"
           "            pass\n"
           "    time.sleep(600)\nprint('held')"),
    Attack("a thread that never ends, as a daemon",
           "import threading, time\nthreading.Thread(target=time.sleep, args=(600,), daemon=True).start()\n"
           "print('held')"),
    Attack("a thread that never ends",
           "import threading, time\nthreading.Thread(target=time.sleep, args=(600,)).start()", TIME, b""),
    Attack("it becomes another program", "import os\nos.execv('/usr/bin/echo', ['echo', 'held'])"),
)  # fmt: skip
