"""What the tests of live swaps have in common: clients that never stop, and who handled them."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from typing import NamedTuple

from probes import Client, Probe


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


def is_handled_by(expression: str, probe: Probe, before: set[int], thread: int) -> bool:
    """Whether new connections are handled by the strategy, and by one that is new.

    Args:
        expression: which strategy.
        probe: whose.
        before: the processes that were there before.
        thread: threads with a higher number are new.
    """
    seen = [who_handles(probe) for _ in range(3)]
    if expression == "Synchronous()":
        return all(each.pid == probe.pid and each.thread == 0 for each in seen)
    if expression.startswith("Thread"):
        return all(each.pid == probe.pid and each.thread > thread for each in seen)
    if expression.startswith("Forking"):
        return len({each.pid for each in seen}) == 3 and {each.parent for each in seen} == {
            probe.pid
        }
    if "Forking" in expression:
        return len({each.pid for each in seen}) == 3 and all(
            each.parent not in (probe.pid, *before) for each in seen
        )
    if any(each.parent != probe.pid or each.pid in before for each in seen):
        return False
    is_threaded = "Thread" in expression
    return len({each.pid for each in seen}) <= 2 and all(
        bool(each.thread) is is_threaded for each in seen
    )


class Load:
    """Clients, each of which connects, asks, and connects again."""

    def __init__(self, probe: Probe, clients: int) -> None:
        self.errors: list[str] = []
        self.answers = 0
        self._probe = probe
        self._is_over = threading.Event()
        self._more = threading.Condition()
        self._threads = [threading.Thread(target=self._run) for _ in range(clients)]

    def wait_for_more(self, number: int) -> None:
        """Wait until so many more have been answered."""
        with self._more:
            wanted = self.answers + number
            assert self._more.wait_for(
                lambda: self.answers >= wanted or bool(self.errors), self._probe.patience
            ), self._probe.log()
        assert self.errors == []

    def _run(self) -> None:
        while not self._is_over.is_set():
            error = self._ask()
            with self._more:
                if error is None:
                    self.answers += 1
                else:
                    self.errors.append(error)
                self._more.notify_all()
            if error is not None:
                return

    def _ask(self) -> str | None:
        try:
            with Client(self._probe.address) as client:
                client.send("echo hi")
                reply = client.reader.readline()
        except OSError as error:
            return repr(error)
        return None if reply == b"hi\n" else f"got {reply!r}"

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def end(self) -> None:
        self._is_over.set()
        for thread in self._threads:
            thread.join()


@contextlib.contextmanager
def load(probe: Probe, clients: int = 3) -> Iterator[Load]:
    """Clients that keep connecting; in the end, all of them must have been answered."""
    clients_of_all = Load(probe, clients)
    clients_of_all.start()
    try:
        yield clients_of_all
    finally:
        clients_of_all.end()
    assert clients_of_all.errors == []
