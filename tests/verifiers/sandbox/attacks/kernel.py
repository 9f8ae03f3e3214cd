"""System calls that reach out of the process. By number, since a program need not go through the C library."""

from __future__ import annotations

from tests.verifiers.sandbox.attacks.attack import Attack, system_call
from verifiers.sandbox import Ending

_SECCOMP_OFF = """
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
allow_all = (ctypes.c_ubyte * 8)(6, 0, 0, 0, 0, 0, 0xFF, 0x7F)
class Filter(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("code", ctypes.c_void_p)]
filters = Filter(1, ctypes.cast(allow_all, ctypes.c_void_p))
libc.syscall(317, 1, 1, ctypes.byref(filters))  # SECCOMP_SET_MODE_FILTER, TSYNC
print("held" if libc.unshare(0x10000000) == -1 else "harm")
"""

_OLD_NUMBERS = """
import ctypes, mmap, os
code = bytes.fromhex("b814000000cd80c3")  # mov eax, 20 (getpid); int 0x80; ret
page = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
page.write(code)
address = ctypes.addressof(ctypes.c_char.from_buffer(page))
print(ctypes.CFUNCTYPE(ctypes.c_int)(address)())
"""

_X32 = "import ctypes\nprint(ctypes.CDLL(None).syscall(ctypes.c_long(0x40000000 + 39)))"

_ALL_NAMESPACES = """
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
made = []
for flag in (0x20000, 0x2000000, 0x4000000, 0x8000000, 0x10000000, 0x20000000, 0x40000000):
    if libc.unshare(flag) != -1:
        made.append(("unshare", hex(flag)))
    child = libc.syscall(56, flag | 17, 0, 0, 0, 0)
    if child == 0:
        libc._exit(0)
    if child != -1:
        made.append(("clone", hex(flag)))
print(made or "held")
"""

_LIMITS_UP = """
import resource
raised = []
for name in ("AS", "CPU", "FSIZE", "NOFILE", "NPROC", "STACK", "MEMLOCK", "CORE"):
    number = getattr(resource, "RLIMIT_" + name)
    try:
        hard = resource.getrlimit(number)[1]
        resource.setrlimit(number, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        if hard != resource.RLIM_INFINITY:
            raised.append(name)
    except (OSError, ValueError):
        pass
print(raised or "held")
"""

_LIMITS_OF_OTHERS = """
import os, resource
changed = []
for name in ("CPU", "NOFILE", "NPROC", "FSIZE", "AS", "CORE"):
    for process in (1, 2, os.getppid()):
        if process in (0, os.getpid()):
            continue
        try:
            resource.prlimit(process, getattr(resource, "RLIMIT_" + name), (0, 0))
            changed.append((process, name))
        except OSError:
            pass
print(changed or "held")
"""

_PRIORITIES = """
import os
changed = []
for what in (
    lambda: os.nice(5),
    lambda: os.setpriority(os.PRIO_PROCESS, 1, 19),
    lambda: os.setpriority(os.PRIO_USER, os.getuid(), 19),
    lambda: os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0)),
    lambda: os.sched_setscheduler(1, os.SCHED_IDLE, os.sched_param(0)),
    lambda: os.sched_setaffinity(1, {0}),
    lambda: os.sched_setaffinity(0, {0}),
):
    try:
        what()
        changed.append(what)
    except OSError:
        pass
print(changed or "held")
"""

_OWN_NAME = """
import ctypes, time
ctypes.CDLL(None).prctl(15, bytes([255, 254, 41, 40, 10]), 0, 0, 0)
time.sleep(0.3)
print("held")
"""

KERNEL = (
    system_call("ptrace of the supervisor", 101, "16", "1", "0", "0"),
    system_call("ptrace by its parent", 101, "0", "0", "0", "0"),
    system_call("reading the supervisor's memory", 310, "1", "None", "0", "None", "0", "0"),
    system_call("writing the supervisor's memory", 311, "1", "None", "0", "None", "0", "0"),
    system_call("taking a descriptor of the supervisor", 438, "3", "0", "0"),
    system_call("userfaultfd", 323, "0"),
    system_call("io_uring", 425, "8", "ctypes.create_string_buffer(256)"),
    system_call("bpf", 321, "0", "ctypes.create_string_buffer(256)", "128"),
    system_call("perf_event_open", 298, "ctypes.create_string_buffer(128)", "0", "-1", "-1", "0"),
    system_call("keys: a new one", 248, "b'user'", "b'x'", "b'y'", "1", "-3"),
    system_call("keys: keyctl", 250, "0", "-4", "1"),
    system_call("mount, the new way: fsopen", 430, "b'tmpfs'", "0"),
    system_call("mount, the new way: open_tree", 428, "-100", "b'/'", "1"),
    system_call("mount, the old way", 165, "b'none'", "b'/tmp'", "b'tmpfs'", "0", "None"),
    system_call("unmount /proc", 166, "b'/proc'", "2"),
    system_call("another namespace: setns", 308, "0", "0"),
    system_call("files by handle", 304, "-100", "ctypes.create_string_buffer(64)", "0"),
    system_call("a new kernel", 320, "0", "0", "0", "None", "0"),
    system_call("a module", 313, "0", "b''", "0"),
    system_call("reboot", 169, "0xfee1dead", "672274793", "0x1234567", "None"),
    system_call("the kernel's log", 103, "3", "ctypes.create_string_buffer(64)", "64"),
    system_call("clone3 with flags in memory", 435, "ctypes.create_string_buffer(88)", "88"),
    system_call("memory in files without a name", 319, "b'x'", "0"),
    system_call("shared memory of System V", 29, "0", "4096", "0o1600"),
    system_call("semaphores of System V", 64, "0", "1", "0o1600"),
    system_call("messages of System V", 68, "0", "0o1600"),
    system_call("message queues of POSIX", 240, "b'x'", "0o102", "0o600", "None"),
    system_call("watching files", 294, "0"),
    system_call("asynchronous I/O", 206, "65536", "ctypes.byref(ctypes.c_long(0))"),
    system_call("the caches of a disk", 306, "1"),
    system_call("the priority of its disk accesses", 251, "1", "0", "0"),
    system_call("a lease of a file", 72, "1", "1024", "0"),
    system_call("larger pipes", 72, "1", "1031", "1048576"),
    system_call("a processor's other half", 157, "62", "1", "0", "0", "0"),
    system_call("the local descriptor table", 154, "1", "ctypes.create_string_buffer(16)", "16"),
    Attack("a filter of its own that allows everything", _SECCOMP_OFF),
    Attack("the call numbers of 32 bits", _OLD_NUMBERS, frozenset({Ending.ERROR}), b""),
    Attack("the call numbers of x32", _X32, frozenset({Ending.ERROR}), b""),
    Attack("every kind of namespace", _ALL_NAMESPACES),
    Attack("higher limits", _LIMITS_UP),
    Attack("limits of other processes", _LIMITS_OF_OTHERS),
    Attack("priorities, so that the machine seems to be at fault", _PRIORITIES),
    Attack("a name that is no text", _OWN_NAME),
    system_call("dumps of its memory: the limit at which the kernel starts a handler",
                302, "0", "4", "(ctypes.c_ulong * 2)(0, 1)", "None"),
    Attack("a crash", "import ctypes\nctypes.string_at(0)", frozenset({Ending.ERROR}), b""),
    Attack("abort", "import os\nos.abort()", frozenset({Ending.ERROR}), b""),
)  # fmt: skip
