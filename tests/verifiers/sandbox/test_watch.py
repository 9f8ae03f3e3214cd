"""Whose fault it is when the time is over, with processes that are made up; and what the filter of calls refuses."""

from __future__ import annotations

import os
import struct
import time
from pathlib import Path

import pytest

from verifiers.sandbox.inside import seccomp, watch
from verifiers.sandbox.inside.watch import Processes, Running

TICKS = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGESIZE")
SETTINGS = {"cpu_s": 6.0, "wall_s": 18.0, "memory_mb": 100}


class Machine:
    """A folder like /proc, and a program that is watched in it since a given number of seconds."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self._folder = folder
        processes = object.__new__(Processes)
        processes._folder = os.open(folder, os.O_RDONLY)
        processes._others = frozenset(("1", "2"))
        monkeypatch.setattr(watch, "own_children_s", lambda: 0.0)
        self.running = Running(10, -1, processes, 0.0)
        self.newest(10)

    def newest(self, number: int) -> None:
        (self._folder / "loadavg").write_text(f"1.0 1.0 1.0 1/100 {number}\n")

    def process(
        self,
        number: int,
        cpu_s: float = 0.0,
        waited_s: float = 0.0,
        mb: int = 1,
        name: bytes = b"python",
        start: int = 7,
    ) -> None:
        folder = self._folder / str(number)
        folder.mkdir(exist_ok=True)
        fields = ["0"] * 50
        fields[0], fields[11], fields[19] = "R", str(round(cpu_s * TICKS)), str(start)
        fields[21] = str((mb << 20) // PAGE)
        (folder / "stat").write_bytes(f"{number} (".encode() + name + b") " + " ".join(fields).encode() + b"\n")
        (folder / "schedstat").write_text(f"{int(cpu_s * 1e9)} {int(waited_s * 1e9)} 5\n")

    def ends(self, number: int) -> None:
        for name in ("stat", "schedstat"):
            (self._folder / str(number) / name).unlink()
        (self._folder / str(number)).rmdir()

    def after(self, seconds: float) -> str:
        """Which limit is passed so many seconds after the watch began."""
        assert self.running.watched_since is not None
        self.running.watched_since = time.monotonic() - seconds
        return self.running.over_limit(SETTINGS)


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    made = Machine(tmp_path, monkeypatch)
    made.process(1, cpu_s=500.0, waited_s=500.0)
    made.process(10)
    made.running.watch()
    return made


def test_a_program_within_its_limits_goes_on(machine: Machine) -> None:
    machine.process(10, cpu_s=5.9, waited_s=1.0, mb=99)

    assert machine.after(17.9) == ""


def test_processor_time_of_all_processes_is_summed_up(machine: Machine) -> None:
    machine.process(10, cpu_s=3.0)
    machine.process(11, cpu_s=3.1)

    assert machine.after(4.0) == "time"


def test_time_before_the_watch_does_not_count(machine: Machine) -> None:
    machine.process(10, cpu_s=5.0)
    machine.running.watch()
    machine.process(10, cpu_s=10.0)

    assert machine.after(6.0) == ""


def test_sleep_is_the_programs_own(machine: Machine) -> None:
    machine.process(10, cpu_s=1.0, waited_s=0.1)

    assert machine.after(18.2) == "time"


def test_time_in_which_others_had_the_processor_is_not_the_programs_own(machine: Machine) -> None:
    machine.process(10, cpu_s=2.0, waited_s=15.0)

    assert machine.after(18.1) == ""
    assert machine.after(32.9) == ""
    assert machine.after(33.1) == "time"


def test_a_program_that_waited_for_the_processor_all_along_was_stalled(machine: Machine) -> None:
    machine.process(10, cpu_s=2.0, waited_s=80.0)

    assert machine.after(89.9) == ""
    assert machine.after(90.1) == "stalled"


def test_what_it_waited_for_before_the_watch_is_no_excuse(machine: Machine) -> None:
    machine.process(10, cpu_s=1.0, waited_s=100.0)
    machine.running.watch()
    machine.process(10, cpu_s=1.1, waited_s=100.1)

    assert machine.after(18.2) == "time"


def test_a_supervisor_that_did_not_run_gives_the_program_more_time(machine: Machine) -> None:
    machine.running.late = 10.0

    assert machine.after(25.0) == ""
    assert machine.after(28.1) == "time"


def test_a_crowd_of_short_lived_children_is_the_programs_own_doing(machine: Machine) -> None:
    machine.process(10, cpu_s=2.0, waited_s=15.0)
    machine.newest(10 + 65)

    assert machine.after(18.1) == "time"


def test_children_that_have_ended_are_counted_as_they_were_seen_last(machine: Machine) -> None:
    for number in range(11, 15):
        machine.process(number, cpu_s=2.0)
        assert machine.after(1.0) == ("" if number < 13 else "time")
        machine.ends(number)


def test_a_number_that_is_given_again_is_another_process(machine: Machine) -> None:
    machine.process(11, cpu_s=4.0, start=8)
    machine.after(1.0)
    machine.process(11, cpu_s=3.0, start=9)

    assert machine.after(2.0) == "time"


def test_memory_of_all_processes_is_summed_up(machine: Machine) -> None:
    machine.process(10, mb=80)
    machine.process(11, mb=80)

    assert machine.after(1.0) == "memory"


@pytest.mark.parametrize("name", [b"\xff\xfe", b")", b") R 1 2 3", b"\n", b"a b c", b"((("])
def test_no_name_of_a_process_misleads_the_supervisor(machine: Machine, name: bytes) -> None:
    machine.process(10, cpu_s=6.1, name=name)

    assert machine.after(7.0) == "time"


def test_nothing_is_looked_at_while_nobody_waits(machine: Machine) -> None:
    machine.process(10, cpu_s=100.0)
    machine.running.watch(active=False)

    assert machine.running.over_limit(SETTINGS) == ""
    assert machine.running.next_look() is None


def verdict(filters: bytes, architecture: int, number: int, *arguments: int) -> int:
    """What the filter says of a call: a small interpreter of the instructions that are used."""
    seen = struct.pack("<IIQ6Q", number, architecture, 0, *arguments, *[0] * (6 - len(arguments)))
    code = [struct.unpack_from("=HBBI", filters, place) for place in range(0, len(filters), 8)]
    place = value = 0
    while True:
        kind, yes, no, operand = code[place]
        place += 1
        if kind == 0x20:
            (value,) = struct.unpack_from("<I", seen, operand)
        elif kind == 0x06:
            return operand
        elif kind == 0x05:
            place += operand
        else:
            is_true = {0x15: value == operand, 0x35: value >= operand, 0x45: bool(value & operand)}[kind]
            place += yes if is_true else no


ALLOWED, KILLED, EPERM, EACCES, ENOSYS = 0x7FFF0000, 0x80000000, 0x50001, 0x5000D, 0x50026


@pytest.mark.parametrize(
    ("call", "wanted"),
    [
        (("read", (0, 63), 0), ALLOWED),
        (("fork, as clone", (56, 220), 0x1200011), ALLOWED),
        (("a thread, as clone", (56, 220), 0x3D0F00), ALLOWED),
        (("clone into a user namespace", (56, 220), 0x10000011), EPERM),
        (("clone into a network namespace", (56, 220), 0x40000011), EPERM),
        (("clone3", (435, 435), 0), ENOSYS),
        (("socket AF_UNIX", (41, 198), 1), ALLOWED),
        (("socket AF_INET", (41, 198), 2), EACCES),
        (("socketpair AF_UNIX", (53, 199), 1), ALLOWED),
        (("socketpair AF_TIPC", (53, 199), 30), EACCES),
        (("own limits", (302, 261), 0, 7), ALLOWED),
        (("own limit of core dumps", (302, 261), 0, 4), EPERM),
        (("another's limits", (302, 261), 1, 7), EPERM),
        (("fcntl F_SETFL", (72, 25), 3, 4), ALLOWED),
        (("fcntl F_SETLEASE", (72, 25), 3, 1024), EPERM),
        (("fcntl F_NOTIFY", (72, 25), 3, 1026), EPERM),
        (("prctl PR_SET_NAME", (157, 167), 15), ALLOWED),
        (("prctl PR_SCHED_CORE", (157, 167), 62), EPERM),
        (("ioctl TCGETS", (16, 29), 0, 0x5401), ALLOWED),
        (("ioctl TIOCSTI", (16, 29), 0, 0x5412), EPERM),
        (("mount", (165, 40)), EPERM),
        (("ptrace", (101, 117)), EPERM),
    ],
    ids=lambda value: value[0] if isinstance(value, tuple) else "",
)
@pytest.mark.parametrize("machine_name", ["x86_64", "aarch64"])
def test_the_filter_refuses_by_number_and_argument(machine_name: str, call: tuple, wanted: int) -> None:  # type: ignore[type-arg]
    _, numbers, *arguments = call
    column = ["x86_64", "aarch64"].index(machine_name)
    filters = seccomp.seccomp_program(machine_name)

    assert verdict(filters, seccomp._ARCHITECTURE[machine_name], numbers[column], *arguments) == wanted


@pytest.mark.parametrize("machine_name", ["x86_64", "aarch64"])
def test_the_filter_refuses_what_is_listed_and_no_other_number(machine_name: str) -> None:
    column = ["x86_64", "aarch64"].index(machine_name)
    filters, architecture = seccomp.seccomp_program(machine_name), seccomp._ARCHITECTURE[machine_name]
    listed = {numbers[column] for numbers in seccomp._REFUSED.values()} - {-1}
    by_argument = {argument.numbers[column] for argument in seccomp._BY_ARGUMENT} | {seccomp._CLONE3}

    assert {number for number in range(2000) if verdict(filters, architecture, number) == EPERM} - by_argument == listed
    allowed = {number for number in range(2000) if verdict(filters, architecture, number) == ALLOWED}
    assert allowed | listed | by_argument == set(range(2000))


def test_another_architecture_is_killed() -> None:
    filters = seccomp.seccomp_program("x86_64")

    assert verdict(filters, 0x40000003, 20) == KILLED, "32 bits"
    assert verdict(filters, 0xC000003E, 0x40000000 + 39) == KILLED, "x32"


def test_a_machine_without_a_table_is_refused() -> None:
    with pytest.raises(OSError, match="no seccomp table for riscv64"):
        seccomp.seccomp_program("riscv64")


def test_the_filter_is_no_longer_than_the_kernel_takes() -> None:
    assert all(len(seccomp.seccomp_program(name)) // 8 <= 4096 for name in ("x86_64", "aarch64"))
