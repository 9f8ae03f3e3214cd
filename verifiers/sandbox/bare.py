"""What bubblewrap does, for machines that have user namespaces and no bubblewrap. It takes the same arguments.

    python bare.py --ro-bind FROM TO ... COMMAND...

Runs by itself, standard library alone, as an unprivileged user: new user, mount, process, network, IPC, host name and
control-group namespaces; a root of its own in memory, with nothing in it but what the arguments name; then no
capability is left. Whatever the kernel refuses ends it with one line, and nothing runs.
"""

from __future__ import annotations

import ctypes
import errno
import os
import struct
import sys

_NEW_NAMESPACES = 0x20000 | 0x02000000 | 0x04000000 | 0x08000000 | 0x10000000 | 0x20000000 | 0x40000000
_RDONLY, _NOSUID, _NODEV, _NOEXEC, _REMOUNT, _BIND, _REC, _PRIVATE = (
    1, 2, 4, 8, 1 << 5, 1 << 12, 1 << 14, 1 << 18,
)  # fmt: skip
_KEPT_FLAGS = {os.ST_NOSUID: _NOSUID, os.ST_NODEV: _NODEV, os.ST_NOEXEC: _NOEXEC, os.ST_NOATIME: 1 << 10}
_MOUNT_SETATTR, _AT_RECURSIVE, _ATTRIBUTE_RDONLY, _ATTRIBUTE_NOSUID = 442, 0x8000, 1, 2
_DETACH = 2
_DEVICES = ("null", "zero", "full", "random", "urandom")
_NEW_ROOT = "/tmp"
_libc = ctypes.CDLL(None, use_errno=True)


def _do(result: int, what: str) -> None:
    if result != 0:
        raise SystemExit(f"{what}: {os.strerror(ctypes.get_errno())}")


def _mount(source: str, target: str, kind: str, flags: int, options: str = "") -> None:
    result = _libc.mount(source.encode(), target.encode(), kind.encode(), ctypes.c_ulong(flags), options.encode())
    _do(result, f"mount {target}")


def _write(path: str, text: str) -> None:
    try:
        with open(path, "w", encoding="ascii") as file:
            file.write(text)
    except OSError as error:
        raise SystemExit(f"{path}: {error.strerror}") from None


def _make_read_only(place: str) -> None:
    """A mount and all that are mounted below it. Kernels before 5.12 know no call for that: there each is told."""
    attributes = struct.pack("=4Q", _ATTRIBUTE_RDONLY | _ATTRIBUTE_NOSUID, 0, 0, 0)
    result = _libc.syscall(_MOUNT_SETATTR, -1, place.encode(), _AT_RECURSIVE, attributes, len(attributes))
    if result == 0:
        return
    if ctypes.get_errno() != errno.ENOSYS:
        _do(result, f"mount_setattr {place}")
    with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as file:
        targets = [line.split()[4].encode().decode("unicode_escape") for line in file]
    for target in targets:
        if target == place or target.startswith(place + "/"):
            has = os.statvfs(target).f_flag
            other_flags = sum(flag for seen, flag in _KEPT_FLAGS.items() if has & seen)
            _mount("none", target, "none", _BIND | _REMOUNT | _RDONLY | _NOSUID | other_flags)


class _Root:
    """The root that is being built below `_NEW_ROOT`."""

    def __init__(self) -> None:
        self.environment: dict[str, str] = {}
        self.folder = "/"
        self.hostname = "sandbox"
        self.proc = ""
        self._mode = 0o644
        self._opened: dict[str, int] = {}

    def open_sources(self, words: list[str]) -> None:
        """Holds what is to be bound, before the new root covers the folder in which it may lie."""
        for number, word in enumerate(words):
            if word in ("--ro-bind", "--ro-bind-try") and os.path.exists(words[number + 1]):
                self._opened[words[number + 1]] = os.open(words[number + 1], os.O_PATH)

    def build(self, words: list[str]) -> list[str]:
        """Carries out the arguments in order. Returns the command behind them."""
        words = list(words)
        while words and words[0].startswith("--"):
            name = words.pop(0)[2:].replace("-", "_")
            if name.startswith("unshare_") or name in ("clearenv", "new_session", "die_with_parent"):
                continue  # always so
            action = getattr(self, f"_{name}", None)
            if action is None:
                raise SystemExit(f"there is no option {name}")
            count = action.__code__.co_argcount - 1
            action(*words[:count])
            del words[:count]
        return words

    def _inside(self, path: str) -> str:
        return _NEW_ROOT + "/root" + path

    def _ro_bind(self, source: str, target: str) -> None:
        place = self._inside(target)
        if source not in self._opened:
            raise SystemExit(f"{source}: {os.strerror(errno.ENOENT)}")
        held = f"/proc/self/fd/{self._opened[source]}"
        if os.path.isdir(held):
            os.makedirs(place, exist_ok=True)
        else:
            os.makedirs(os.path.dirname(place), exist_ok=True)
            os.close(os.open(place, os.O_CREAT, 0o644))
        _mount(held, place, "none", _BIND | _REC)
        _make_read_only(place)

    def _ro_bind_try(self, source: str, target: str) -> None:
        if source in self._opened:
            self._ro_bind(source, target)

    def _symlink(self, content: str, target: str) -> None:
        os.symlink(content, self._inside(target))

    def _proc(self, target: str) -> None:
        os.makedirs(self._inside(target), exist_ok=True)
        self.proc = self._inside(target)

    def _dev(self, target: str) -> None:
        self._tmpfs(target)
        for name in _DEVICES:
            place = self._inside(f"{target}/{name}")
            os.close(os.open(place, os.O_CREAT, 0o644))
            _mount(f"/dev/{name}", place, "none", _BIND)
        os.mkdir(self._inside(f"{target}/shm"))

    def _tmpfs(self, target: str) -> None:
        place = self._inside(target)
        os.makedirs(place, exist_ok=True)
        _mount("tmpfs", place, "tmpfs", _NOSUID | _NODEV, "mode=0755")

    def _perms(self, mode: str) -> None:
        self._mode = int(mode, 8)

    def _file(self, descriptor: str, target: str) -> None:
        place = self._inside(target)
        os.makedirs(os.path.dirname(place), exist_ok=True)
        with open(int(descriptor), "rb") as source, open(place, "wb") as file:
            file.write(source.read())
        os.chmod(place, self._mode)

    def _setenv(self, name: str, value: str) -> None:
        self.environment[name] = value

    def _chdir(self, folder: str) -> None:
        self.folder = folder

    def _dir(self, target: str) -> None:
        os.makedirs(self._inside(target), exist_ok=True)

    def _remount_ro(self, target: str) -> None:
        if target != "/":  # the root is the last step of all, see `main`
            _make_read_only(self._inside(target))

    def _hostname(self, name: str) -> None:
        self.hostname = name

    def _cap_drop(self, which: str) -> None:
        pass  # always all

    def _uid(self, number: str) -> None:
        pass  # read before, see `_option`

    def _gid(self, number: str) -> None:
        pass


def _option(words: list[str], name: str, default: int) -> int:
    return int(words[words.index(name) + 1]) if name in words else default


def main() -> None:
    words = sys.argv[1:]
    uid, gid = os.getuid(), os.getgid()
    _do(_libc.unshare(_NEW_NAMESPACES), "this kernel gives no user namespaces (unshare)")
    _write("/proc/self/setgroups", "deny")
    _write("/proc/self/uid_map", f"{_option(words, '--uid', uid)} {uid} 1")
    _write("/proc/self/gid_map", f"{_option(words, '--gid', gid)} {gid} 1")
    _mount("none", "/", "none", _REC | _PRIVATE)
    root = _Root()
    root.open_sources(words)
    _mount("tmpfs", _NEW_ROOT, "tmpfs", _NOSUID | _NODEV, "mode=0755")
    os.mkdir(_NEW_ROOT + "/root")
    _mount("tmpfs", _NEW_ROOT + "/root", "tmpfs", _NOSUID | _NODEV, "mode=0755,size=4m")
    command = root.build(words)
    _do(_libc.sethostname(root.hostname.encode(), len(root.hostname)), "sethostname")
    child = os.fork()  # process 1 of the new process namespace
    if child:
        os._exit(abs(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])))
    os.setsid()
    if root.proc:
        _mount("proc", root.proc, "proc", _NOSUID | _NODEV | _NOEXEC)
    inside = _NEW_ROOT + "/root"
    os.chdir(inside)
    os.mkdir("old")
    _do(_libc.syscall(_PIVOT_ROOT[os.uname().machine], b".", b"old"), "pivot_root")
    os.chdir("/")
    _do(_libc.umount2(b"/old", _DETACH), "umount")
    os.rmdir("/old")
    _mount("none", "/", "none", _BIND | _REMOUNT | _RDONLY | _NOSUID | _NODEV)
    os.chdir(root.folder)
    _give_up_capabilities()
    os.execve(command[0], command, root.environment)


_PIVOT_ROOT = {"x86_64": 155, "aarch64": 41}


def _give_up_capabilities() -> None:
    _do(_libc.prctl(38, 1, 0, 0, 0), "prctl")  # PR_SET_NO_NEW_PRIVS
    for capability in range(64):
        _libc.prctl(24, capability, 0, 0, 0)  # PR_CAPBSET_DROP; numbers that the kernel does not know are refused
    header = ctypes.create_string_buffer((0x20080522).to_bytes(4, sys.byteorder) + bytes(4))
    _do(_libc.capset(header, ctypes.create_string_buffer(24)), "capset")


if __name__ == "__main__":
    main()
