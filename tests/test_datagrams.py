"""Datagrams, of UDP and of Unix sockets, under every strategy."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from probes import FORKING, STRATEGIES, probing, wait_until
from senders import Gate, senders, sending

every_strategy = pytest.mark.parametrize("strategy", STRATEGIES)


@every_strategy
@pytest.mark.parametrize("hooks", [[], ["get_request_without_flags"]])
def test_every_datagram_is_answered_once_from_the_listeners_address(
    strategy: str, hooks: list[str], datagrams: dict[str, Any]
) -> None:
    with probing(strategy, hooks=hooks, **datagrams) as probe, senders(probe.address, 4) as clients:
        for part in range(12):
            # No more at a time than a Unix socket's buffer holds.
            for number in range(5):
                for client in clients:
                    client.send(f"echo {part} {number}")
            expected = {f"{part} {number}" for number in range(5)}
            for client in clients:
                assert {client.receive() for _ in expected} == expected
        probe.stop()
        assert not any(client.has_answer() for client in clients)
        handled = Counter(each.get("peer") for each in probe.seen if each["event"] == "handling")
        peers = [a if isinstance(a, str) else a[1] for a in (c.address for c in clients)]
        assert handled == dict.fromkeys(peers, 60)
        assert "Traceback" not in probe.log()


@every_strategy
def test_an_error_is_reported_and_costs_its_datagram_only(
    strategy: str, datagrams: dict[str, Any]
) -> None:
    with probing(strategy, **datagrams) as probe, sending(probe.address) as client:
        for name in ("ValueError", "ValueError"):
            assert client.ask(f"raise {name}") == "", "finish() sends what there is"
            assert client.ask("echo hi") == "hi"
        assert wait_until(lambda: probe.log().count("ValueError: as the client wished") == 2)
        assert f"error while handling the connection from {client.address}" in probe.log()
        assert not client.has_answer()
        probe.stop()


@every_strategy
def test_handle_error_is_called_where_the_handler_ran(
    strategy: str, datagrams: dict[str, Any]
) -> None:
    with (
        probing(strategy, hooks=["handle_error_tells"], **datagrams) as probe,
        sending(probe.address) as client,
    ):
        client.send("raise ValueError")
        assert (probe.expect("handle_error", error="ValueError")["pid"] != probe.pid) == (
            strategy in FORKING
        )
        probe.stop()


@every_strategy
def test_a_datagram_that_is_refused_is_not_handled(
    strategy: str, datagrams: dict[str, Any]
) -> None:
    with (
        probing(strategy, hooks=["verify_refuses"], **datagrams) as probe,
        sending(probe.address) as client,
    ):
        for _ in range(5):
            client.send("refuse")
        assert client.ask("echo hi") == "hi"
        probe.stop()
        assert not client.has_answer()
        assert probe.count("handling") == 1


@every_strategy
def test_process_request_that_raises_costs_its_datagram_only(
    strategy: str, datagrams: dict[str, Any]
) -> None:
    with (
        probing(strategy, hooks=["process_request_raises"], **datagrams) as probe,
        sending(probe.address) as client,
    ):
        for _ in range(3):  # since it raises once in each of two workers
            client.send("echo hi")
        assert client.receive() == "hi"
        assert wait_until(lambda: "process_request fails once" in probe.log())
        probe.stop()


@pytest.mark.parametrize(
    "strategy", ["Threaded(2)", "ThreadPool(2)", "Forking(2)", "Synchronous()", "Prefork(2)"]
)
def test_what_has_no_room_waits_in_the_buffer(
    strategy: str, datagrams: dict[str, Any], tmp_path: Path
) -> None:
    places = 1 if strategy == "Synchronous()" else 2
    with (
        Gate(tmp_path / "gate") as gate,
        probing(strategy, **datagrams) as probe,
        senders(probe.address, places + 1) as (outside, *inside),
    ):
        for client in inside:
            client.send(f"wait {gate.path}")
            probe.expect("handling")
        outside.send("echo hi")
        probe.wait_until_idle()
        assert not outside.has_answer()
        gate.open()
        assert [client.receive() for client in inside] == ["waited"] * places
        assert outside.receive() == "hi"
        probe.stop()


@pytest.mark.parametrize("strategy", STRATEGIES[1:])
def test_datagrams_are_handled_at_the_same_time(
    strategy: str, datagrams: dict[str, Any], tmp_path: Path
) -> None:
    with (
        Gate(tmp_path / "gate") as gate,
        probing(strategy, **datagrams) as probe,
        senders(probe.address, 2) as (first, second),
    ):
        first.send(f"wait {gate.path}")
        probe.expect("handling")
        assert second.ask("echo hi") == "hi"
        gate.open()
        assert first.receive() == "waited"
        probe.stop()


@pytest.mark.parametrize("strategy", FORKING)
def test_a_process_that_dies_costs_its_datagram_only(
    strategy: str, datagrams: dict[str, Any]
) -> None:
    with probing(strategy, **datagrams) as probe, sending(probe.address) as client:
        client.send("die")
        assert wait_until(lambda: "was ended by signal 9" in probe.log())
        for _ in range(5):
            assert client.ask("echo hi") == "hi"
        probe.stop()


@every_strategy
@pytest.mark.parametrize("hooks", [[], ["get_request_without_flags"]])
def test_an_answer_waits_for_a_slow_reader(strategy: str, hooks: list[str], path: Path) -> None:
    """A Unix socket whose buffer is full has its senders wait, if they may."""
    with (
        probing(strategy, family="unixgram", address=str(path), hooks=hooks) as probe,
        sending(probe.address) as client,
    ):
        # More than the client's buffer holds on Linux, ten; less than that and the server's.
        for number in range(20):
            client.send(f"echo {number}")
        probe.wait_until_idle()
        assert {client.receive() for _ in range(20)} == {str(number) for number in range(20)}
        assert "Traceback" not in probe.log()
        probe.stop()


@every_strategy
def test_handle_request_handles_one_datagram(strategy: str, datagrams: dict[str, Any]) -> None:
    with probing(strategy, requests=2, **datagrams) as probe, sending(probe.address) as client:
        for _ in range(2):
            assert client.ask("echo hi") == "hi"
        probe.expect("returned", error=None)
        probe.closed()
