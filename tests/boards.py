"""What a server with workers shows of them, as a test looks at it."""

from __future__ import annotations

import os
import signal
from typing import Any

from probes import Client, Probe, wait_until

NESTS = [
    "Prefork(2)",
    "Prefork(2, ThreadPool(2))",
    "Prefork(2, Forking(10))",
    "Prefork(1, Prefork(2))",
    "Prefork(1, Prefork(2, ThreadPool(2)))",
    "Prefork(2, Limit(5, Threaded()))",
]
"""Each has two workers that accept."""


def status(probe: Probe, pid: int | None = None) -> Any:
    """What one of its processes says in a signal handler; by default the first of them."""
    pid = probe.pid if pid is None else pid
    if pid == probe.pid and probe.obeys:  # where it would not wake up for a signal
        probe.tell("status")
    else:
        os.kill(pid, signal.SIGPROF)
    return probe.expect("status", pid=pid)["answer"]


def workers(shown: Any) -> list[Any]:
    """The workers that accept: the innermost ones."""
    found = []
    for worker in shown.get("workers", []):
        found += workers(worker["inner"]) or [worker]
    return found


def look(probe: Probe) -> list[Any]:
    return workers(status(probe)["strategy"])


def innermost(shown: Any) -> Any:
    while "inner" in shown:
        shown = shown["inner"]
    return shown


def connections(found: list[Any]) -> list[Any]:
    return [each for worker in found for each in innermost(worker)["connections"]]


def total(found: list[Any], name: str) -> int:
    return sum(worker[name] for worker in found)


def without_times(shown: Any) -> Any:
    if isinstance(shown, list):
        return [without_times(each) for each in shown]
    if isinstance(shown, dict):
        return {k: without_times(v) for k, v in shown.items() if k not in ("age", "since")}
    return shown


def hold(probe: Probe, number: int) -> list[Client]:
    """Connections that are listed, and whose handlers wait."""
    clients = probe.clients(number)
    for client in clients:
        assert client.ask("echo here") == "here"

    def are_listed() -> bool:
        found = look(probe)
        forks = (
            [each["child"] is None for each in connections(found)]
            if "children" in innermost(found[0]["inner"])
            else []
        )
        return total(found, "in_flight") == number and not any(forks)

    assert wait_until(are_listed)
    return clients


def has_started(probe: Probe, number: int) -> bool:
    states = [worker["state"] for worker in look(probe)]
    return len(states) == number and "starting" not in states
