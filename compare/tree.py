"""A process and everything that it forked: CPU time, memory, processes, threads."""

from __future__ import annotations

import contextlib
import sys
import time
from dataclasses import dataclass

import psutil

SETTLE_TIMEOUT = 1.0  # seconds that children get to end and be reaped
POLL = 0.010  # seconds

# macOS keeps no CPU time of ended children where psutil could read it.
COUNTS_REAPED_CHILDREN = not psutil.MACOS


@dataclass(frozen=True, slots=True)
class Footprint:
    """What a tree takes at one moment.

    Attributes:
        memory: bytes, of the kind that `memory_kind` names.
        processes: how many run, without those that ended and wait to be reaped.
        threads: how many they have together.
    """

    memory: int = 0
    processes: int = 0
    threads: int = 0

    def peak(self, other: Footprint) -> Footprint:
        """The larger of the two, figure by figure."""
        return Footprint(
            max(self.memory, other.memory),
            max(self.processes, other.processes),
            max(self.threads, other.threads),
        )


class ProcessTree:
    """A process and its descendants, as they are at the moment of each question.

    Args:
        pid: the process at the root. When it is gone, every figure is zero.
    """

    def __init__(self, pid: int) -> None:
        self._pid = pid

    def members(self) -> list[psutil.Process]:
        """The processes of the tree, the root first."""
        try:
            root = psutil.Process(self._pid)
            return [root, *root.children(recursive=True)]
        except psutil.NoSuchProcess:
            return []

    def pids(self) -> set[int]:
        """The process ids of the tree, those that wait to be reaped too."""
        return {process.pid for process in self.members()}

    def cpu_seconds(self) -> float:
        """CPU time that the tree has used, user and system, with its ended and reaped children."""
        total = 0.0
        for process in self.members():
            with contextlib.suppress(psutil.Error):
                total += _cpu_seconds(process)
        return total

    def footprint(self) -> Footprint:
        """What the tree takes now. Processes that end meanwhile are left out."""
        memory = processes = threads = 0
        for process in self.members():
            with contextlib.suppress(psutil.Error):
                if process.status() != psutil.STATUS_ZOMBIE:
                    threads += process.num_threads()
                    memory += _memory(process)
                    processes += 1
        return Footprint(memory, processes, threads)

    def settle(self, long_lived: set[int]) -> None:
        """Wait until only these processes are left, so that no child's CPU time is on its way.

        Gives up after `SETTLE_TIMEOUT`: a strategy may keep or replace children as it likes.
        """
        deadline = time.monotonic() + SETTLE_TIMEOUT
        while not self.pids() <= long_lived and time.monotonic() < deadline:
            time.sleep(POLL)


def memory_kind() -> str:
    """`PSS` where the system tells it, else `RSS`.

    The proportional set size divides a page among the processes that share it, so that forked
    workers are not charged several times for one page, as with the resident set size. The servers
    that are compared live side by side and share the interpreter's pages too, some 0.5 MiB each.
    """
    return "PSS" if hasattr(psutil.Process().memory_full_info(), "pss") else "RSS"


_MEMORY_KIND = memory_kind()


def _memory(process: psutil.Process) -> int:
    if _MEMORY_KIND == "PSS":
        return int(process.memory_full_info().pss)
    return int(process.memory_info().rss)


def _cpu_seconds(process: psutil.Process) -> float:
    times = process.cpu_times()
    reaped = float(times.children_user + times.children_system)
    if sys.platform == "linux":
        # psutil reads whole ticks of 10 ms, more than a quiet server uses in a run. The clock
        # that clock_getcpuclockid(3) gives for a process counts nanoseconds.
        with contextlib.suppress(OSError):
            return reaped + time.clock_gettime((~process.pid << 3) | 2)
    return reaped + float(times.user + times.system)
