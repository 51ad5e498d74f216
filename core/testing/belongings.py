"""What a process has: descriptors, threads and children."""

from __future__ import annotations

import os
import stat
import threading
import time
from collections.abc import Iterable
from pathlib import Path

AFTERMATH = 2.0
"""How long what was told to end may take until it is gone, in seconds."""


_FOLDERS = (Path("/proc/self/fd"), Path("/dev/fd"))


class Belongings:
    """The descriptors, threads and children of this process."""

    def __init__(self) -> None:
        self._descriptors = _descriptors()
        self._threads = _threads()
        self._children = _children(())

    def new(self) -> dict[str, list[str]]:
        """What has come since, by "descriptors", "threads" and "children"."""
        children = _children(self._children)
        return {
            "descriptors": sorted(_descriptors() - self._descriptors),
            "threads": sorted(_threads() - self._threads),
            "children": children,
        }

    def left(self) -> dict[str, list[str]]:
        """What has come since and stays, although it gets a moment to go."""
        deadline = time.monotonic() + AFTERMATH
        while any((new := self.new()).values()) and time.monotonic() < deadline:
            time.sleep(0.01)
        return new


def _descriptors() -> set[str]:
    folder = next((each for each in _FOLDERS if each.is_dir()), None)
    found = set()
    for entry in folder.iterdir() if folder else ():
        try:
            is_link = stat.S_ISLNK(entry.lstat().st_mode)
            found.add(f"{entry.name} ({entry.readlink()})" if is_link else entry.name)
        except OSError:
            continue  # it was the one that lists them
    return found


def _threads() -> set[str]:
    """Those of the module `threading`, and what the system knows of besides."""
    known = threading.enumerate()
    found = {f"{type(each).__name__} {each.name} ({each.native_id})" for each in known}
    native = {str(each.native_id) for each in known}
    tasks = Path("/proc/self/task")
    if tasks.is_dir():
        found |= {f"thread {each.name}" for each in tasks.iterdir() if each.name not in native}
    return found


def _children(known: Iterable[str]) -> list[str]:
    """A text for each child that runs and is not known, or one for a zombie, if there is one.

    Where the system does not tell which run, they are not new if there were some before. A zombie
    nobody has of purpose.
    """
    try:
        ended = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return []
    if ended is not None:
        return [f"a zombie, process {ended.si_pid}"]
    pids = [pid for each in Path("/proc/self/task").glob("*/children") for pid in _words(each)]
    running = [f"process {pid}" for pid in pids] or ["a child that runs"]
    return [each for each in running if each not in known]


def _words(file: Path) -> list[str]:
    try:
        return file.read_text().split()
    except OSError:  # its thread has just ended
        return []
