"""What the tests of live swaps have in common: clients that never stop, and who handled them."""

from __future__ import annotations

import contextlib
import queue
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from probes import Client, Probe
from serverstrategy import Strategy
from serverstrategy.strategies import (
    Fallback,
    Forking,
    Limit,
    PerClient,
    Prefork,
    Synchronous,
    parse,
)


class Who(NamedTuple):
    """Who handled a connection."""

    pid: int
    parent: int
    thread: int  # its number; 0: the main thread


def who(client: Client) -> Who:
    reply = client.ask("who")
    assert reply is not None, "the connection was closed without an answer"
    return Who(*map(int, reply.split()))


def who_handles(probe: Probe) -> Who:
    """Who handles a new connection."""
    with probe.client() as client:
        return who(client)


def without_layers(expression: str) -> Strategy:
    """The strategy that an expression is about."""
    strategy = parse(expression)
    while isinstance(strategy, Limit | PerClient | Fallback):
        strategy = strategy.inner
    return strategy


def holds_back(old: str, new: str) -> bool:
    """Whether a connection of the old strategy keeps the new one from accepting."""
    before, after = without_layers(old), without_layers(new)
    # Synchronous: the thread that serves is in the handler.
    return isinstance(before, Synchronous) or (
        after.multiprocess and before.multithread and not before.multiprocess
    )


def is_handled_by(expression: str, probe: Probe, before: set[int], thread: int) -> bool:
    """Whether new connections are handled by the strategy, and by one that is new.

    Args:
        expression: which strategy.
        probe: whose.
        before: the processes that were there before.
        thread: threads with a higher number are new.
    """
    strategy = without_layers(expression)
    seen = [who_handles(probe) for _ in range(3)]
    if not strategy.multiprocess:
        return all(
            each.pid == probe.pid
            and (each.thread > thread if strategy.multithread else each.thread == 0)
            for each in seen
        )
    parents, pids = {each.parent for each in seen}, {each.pid for each in seen}
    if isinstance(strategy, Forking):
        return len(pids) == 3 and parents == {probe.pid}
    assert isinstance(strategy, Prefork)
    if isinstance(strategy.inner, Forking):
        return len(pids) == 3 and parents.isdisjoint({probe.pid, *before})
    return (
        parents == {probe.pid}
        and pids.isdisjoint(before)
        and len(pids) <= strategy.workers
        and all(bool(each.thread) is strategy.multithread for each in seen)
    )


def no_fork_was_beside_a_thread(probe: Probe) -> bool:
    return "DeprecationWarning" not in probe.log()


class Load:
    """Processes of clients, each of which connects, asks, and connects again."""

    def __init__(self, probe: Probe, processes: int, clients: int) -> None:
        self.errors: list[str] = []
        self._probe = probe
        self._answers: queue.SimpleQueue[str] = queue.SimpleQueue()
        program = Path(__file__).with_name("swap_clients.py")
        command = [sys.executable, str(program), *map(str, (*probe.address, clients))]
        self._processes = [
            subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            for _ in range(processes)
        ]
        self._readers = [
            threading.Thread(target=self._read, args=(each,)) for each in self._processes
        ]
        for thread in self._readers:
            thread.start()

    def _read(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        for line in process.stdout:
            if line != "answered\n":
                self.errors.append(line)
            self._answers.put(line)

    def wait_for_more(self, number: int) -> None:
        """Wait until so many more have been answered."""
        while not self._answers.empty():
            self._answers.get()
        for _ in range(number):
            try:
                self._answers.get(timeout=self._probe.patience)
            except queue.Empty:
                raise AssertionError(f"no answers any more\n{self._probe.log()}") from None
            assert self.errors == []

    def end(self) -> None:
        for process in self._processes:
            assert process.stdin is not None
            process.stdin.close()
        for process, reader in zip(self._processes, self._readers, strict=True):
            process.wait()
            reader.join()
            assert process.stdout is not None
            process.stdout.close()


@contextlib.contextmanager
def load(probe: Probe, processes: int = 2, clients: int = 2) -> Iterator[Load]:
    """Clients that keep connecting; in the end, all of them must have been answered."""
    clients_of_all = Load(probe, processes, clients)
    try:
        yield clients_of_all
    finally:
        clients_of_all.end()
    assert clients_of_all.errors == []
