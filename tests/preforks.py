"""What tests ask of a probe whose strategy is a `Prefork`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil

from loading import Fate, Load
from probes import Client, Probe, probing, wait_until
from senders import Gate

INNERS = ["Synchronous()", "ThreadPool(4)", "Forking(10)", "Prefork(2)"]
"""What may run in the workers."""


def workers(probe: Probe) -> set[psutil.Process]:
    """Those of the outermost `Prefork`, also those that are to end."""
    probe.children()
    return set(psutil.Process(probe.pid).children())


def started(probe: Probe, number: int) -> set[psutil.Process]:
    """Wait until there are so many workers, accepting or not, and return them."""
    assert wait_until(lambda: len(workers(probe)) == number)
    return workers(probe)


def accepting(probe: Probe, number: int) -> set[psutil.Process]:
    """Wait until there are so many workers, all of which accept, and return them."""
    assert wait_until(
        lambda: states(probe) <= {"waiting", "busy"} and len(workers(probe)) == number
    )
    return workers(probe)


def shown_workers(asked: Probe | Client) -> list[Any]:
    """The status of the workers of the outermost `Prefork`, as one of the innermost tells it."""
    workers: list[Any] = json.loads(asked.ask("status") or "")["strategy"]["workers"]
    return workers


def states(asked: Probe | Client) -> set[str]:
    return {each["state"] for each in shown_workers(asked)}


def in_flight(asked: Probe | Client) -> int:
    """How many connections there are, in workers and in the workers inside of them."""
    return _count({"workers": shown_workers(asked)})


def _count(strategy: Any) -> int:
    inside = sum(_count(each["inner"]) for each in strategy.get("workers", ()))
    return inside + len(strategy.get("connections", ()))


def worker_of(fate: Fate, probe: Probe) -> int:
    """The worker of the outermost `Prefork` that answered, or whose child or worker did."""
    return fate.pid if fate.parent == probe.pid else fate.parent


def hold_each(probe: Probe, held: set[psutil.Process]) -> list[Client]:
    """Connections that stay, of which each of these workers has one at least."""
    clients: list[Client] = []
    pids = {each.pid for each in held}
    while pids:
        clients.append(probe.client())
        pids -= {int(word) for word in (clients[-1].ask("who") or "").split()}
    return clients


def all_answered(load: Load) -> list[Fate]:
    """End the load; its connections, of which none may have had another fate."""
    fates = load.stop()
    assert load.counts() == {"answered": len(fates)}
    return fates


def stop_from_the_main_thread(probe: Probe) -> None:
    """Stop a probe that serves in a thread."""
    probe.tell("shutdown")
    probe.end_of_commands()
    probe.closed()


def wait_for_successors(probe: Probe, old: set[psutil.Process]) -> set[psutil.Process]:
    """Wait until as many others are in the place of the old ones, and return them."""
    assert wait_until(lambda: not old & workers(probe) and len(workers(probe)) == len(old))
    return workers(probe)


@contextmanager
def at_the_gate(strategy: str, folder: Path, **options: Any) -> Iterator[tuple[Probe, Gate]]:
    """A probe in which successors do not accept before the gate is open."""
    path = folder / "gate"
    with (
        Gate(path) as gate,
        probing(strategy, gate=str(path), worker_hooks=["successors_wait"], **options) as probe,
    ):
        yield probe, gate
