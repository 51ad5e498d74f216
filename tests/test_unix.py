"""Servers of Unix sockets, with connections, under every strategy; and their file."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pytest

from probes import PREFORKS, STRATEGIES, is_gone, probing, wait_until

every_strategy = pytest.mark.parametrize("strategy", STRATEGIES)


@pytest.fixture
def unix(path: Path) -> dict[str, Any]:
    """The options of a probe that removes its file at the end."""
    return {"family": "unix", "address": str(path), "keywords": {"remove_on_close": True}}


@every_strategy
def test_every_connection_is_handled_once(strategy: str, unix: dict[str, Any], path: Path) -> None:
    with probing(strategy, **unix) as probe:
        clients = probe.clients(60)
        for number, client in enumerate(clients):
            client.send(f"echo {number}")
        for number, client in enumerate(clients):
            assert client.receive() == str(number)
            client.close()
        for _ in clients:
            # Its clients have no name, as the standard library has it.
            assert probe.expect("finished")["peer"] == ""
        assert path.is_socket()
        probe.stop()
        assert probe.count("handling") == 60
        assert not path.exists()


@every_strategy
def test_an_error_costs_its_connection_only(strategy: str, unix: dict[str, Any]) -> None:
    with probing(strategy, **unix) as probe:
        assert probe.ask("raise ValueError") is None
        assert probe.ask("echo hi") == "hi"
        probe.stop()
        assert "ValueError: as the client wished" in probe.log()


@every_strategy
def test_close_waits_for_what_is_in_flight(strategy: str, unix: dict[str, Any], path: Path) -> None:
    with probing(strategy, thread=True, **unix) as probe, probe.client() as client:
        assert client.ask("echo hi") == "hi"
        probe.tell("server_close")
        # The file goes first: who comes now can start the next server.
        assert wait_until(lambda: not path.exists())
        assert client.ask("echo before the end") == "before the end"
        client.close()
        probe.expect("server_close", error=None)
        probe.end_of_commands()
        probe.closed()
        assert "cut" not in probe.log()


@every_strategy
def test_an_idle_server_does_not_wake_up(strategy: str, unix: dict[str, Any]) -> None:
    with probing(strategy, **unix) as probe:
        assert probe.ask("echo hi") == "hi"
        probe.expect("finished")
        probe.wait_until_idle()
        before = probe.switches()
        # The stretch of time is what is measured, not a guess for something to happen.
        assert not wait_until(lambda: probe.switches() > before, 1.0)
        probe.stop()


@every_strategy
def test_no_other_process_removes_the_file(strategy: str, unix: dict[str, Any], path: Path) -> None:
    with probing(strategy, **unix) as probe:
        inode = path.stat().st_ino
        with probe.client() as client:
            # A process of the application's own, which calls server_close.
            assert client.ask("fork") == "0"
        probe.expect("finished")
        if strategy in PREFORKS:
            workers = probe.children()
            os.kill(workers[0].pid, signal.SIGKILL)
            assert wait_until(lambda: len(set(probe.children()) - set(workers)) == 1)
        assert probe.ask("echo hi") == "hi"
        assert path.stat().st_ino == inode
        probe.stop()
        assert not path.exists()


@every_strategy
def test_a_handler_that_closes_leaves_the_file_to_the_server(
    strategy: str, unix: dict[str, Any], path: Path
) -> None:
    with probing(strategy, **unix) as probe:
        assert probe.ask("call server_close") is not None
        probe.expect("returned", error=None)
        probe.closed()
        assert not path.exists()


@every_strategy
def test_a_daemon_removes_the_file(strategy: str, unix: dict[str, Any], path: Path) -> None:
    with probing(strategy, daemon=True, **unix) as probe:
        daemon = probe.expect("daemon")["pid"]
        assert probe.ask("echo hi") == "hi"
        os.kill(daemon, signal.SIGTERM)
        assert probe.expect("closed")["children"] == []
        assert probe.process.wait(probe.patience) == 0
        assert not path.exists()


@every_strategy
@pytest.mark.parametrize("family", ["unix", "unixgram"])
def test_the_next_server_replaces_what_a_killed_one_left(
    strategy: str, family: str, path: Path
) -> None:
    options: dict[str, Any] = {"family": family, "address": str(path)}
    with probing(strategy, **options) as probe:
        if strategy in PREFORKS:
            assert wait_until(lambda: len(probe.children()) == 2)
        below = probe.children()
        probe.signal(signal.SIGKILL)
        probe.process.wait()
        assert wait_until(lambda: all(map(is_gone, below)), 3.0)
        assert path.is_socket()
    options["keywords"] = {"replace_stale": True, "remove_on_close": True}
    with probing(strategy, **options) as probe:
        probe.stop()
    assert not path.exists()
