"""The intended differences in docs/migrating.md that no row of a table shows."""

from __future__ import annotations

import signal
import socketserver
import threading
from typing import Any

import pytest

import serverstrategy
from adopting import ANY_PORT, QuietThreading, Shout, ask, serving
from migrating import adopted, both, shows
from migrating_host import hosted
from probes import probing, wait_until
from serverstrategy import adopt
from serverstrategy.strategies import Synchronous, Threaded, ThreadPool


@shows("differences", "Threads are used again.")
@both
def test_a_thread_local_value_is_there_for_the_next_connection(build: Any) -> None:
    local = threading.local()
    seen: list[int] = []

    class Counting(Shout):
        def handle(self) -> None:
            local.visits = getattr(local, "visits", 0) + 1
            seen.append(local.visits)
            super().handle()

    with build(Counting, ThreadPool(1)) as server, serving(server):
        assert [ask(server) for _ in range(3)] == [b"HI\n"] * 3
    assert seen == [1, 2, 3]


@shows("differences", "A datagram's listener has a receive timeout of a millisecond in workers")
@pytest.mark.parametrize(("strategy", "expected"), [("Threaded()", False), ("Prefork(2)", True)])
def test_a_worker_does_not_wait_for_a_datagram(strategy: str, expected: bool) -> None:
    for way in ("ours", "adopted"):
        with hosted(way, "UDPServer", strategy) as host:
            told = host.ask()
            assert told["has_receive_timeout"] == told["has_send_timeout"] == expected


@shows("differences", "Out of descriptors, accepting pauses")
def test_out_of_descriptors_it_pauses() -> None:
    with probing("Threaded()", nofile=200) as probe:
        assert probe.ask("echo hi") == "hi"
        probe.expect("finished")
        probe.wait_until_idle()  # so that none is given back later
        probe.signal_all(signal.SIGUSR2)
        probe.expect("hoarded")
        waiting = probe.client()
        waiting.send("echo it goes on")
        assert wait_until(lambda: "accepting is paused" in probe.log())
        probe.signal_all(signal.SIGUSR2)
        probe.expect("released")
        assert waiting.receive() == "it goes on"
        waiting.close()
        probe.stop()


@shows(
    "differences",
    "`SystemExit` and other `BaseException` in a thread or a child are reported",
)
@pytest.mark.parametrize("name", ["SystemExit", "Unusual"])
@pytest.mark.parametrize("shape", ["", "Threading", "ForkingShape"])
@pytest.mark.parametrize("strategy", ["Threaded()", "Forking()"])
def test_an_exit_in_a_thread_or_a_child_is_reported(strategy: str, shape: str, name: str) -> None:
    with probing(strategy, shape=shape, hooks=["handle_error_tells"]) as probe:
        with probe.client() as client:
            assert client.ask(f"raise {name}") is None
        probe.expect("handle_error", error=name)
        probe.stop()


@shows(
    "differences",
    "`SystemExit` and other `BaseException` in a thread or a child are reported",
)
@both
def test_an_exit_in_the_thread_that_serves_goes_through(build: Any) -> None:
    class Exits(Shout):
        def handle(self) -> None:
            raise SystemExit(3)

    with build(Exits, Synchronous()) as server:
        client = threading.Thread(target=ask, args=(server, b""))
        client.start()
        with pytest.raises(SystemExit):
            server.serve_forever()
        client.join()


@shows("differences", "A child ignores Ctrl-C")
@pytest.mark.parametrize(
    ("strategy", "expected"), [("Threaded()", False), ("Forking()", True), ("Prefork(2)", True)]
)
def test_a_child_ignores_ctrl_c(strategy: str, expected: bool) -> None:
    with hosted("adopted", "TCPServer", strategy) as host:
        assert host.ask()["ignores_sigint"] == expected


@shows("differences", "`isinstance(server, ThreadingMixIn)` tells the truth")
def test_isinstance_of_a_mix_in_tells_the_truth() -> None:
    flags = {"multithread": True, "multiprocess": True}
    for base in (socketserver.TCPServer, socketserver.ThreadingTCPServer):
        for strategy in (Synchronous(), Threaded()):
            with adopted(Shout, strategy, base=base, **flags) as server:
                is_threaded = isinstance(strategy, Threaded)
                assert isinstance(server, socketserver.ThreadingMixIn) == is_threaded
                assert not isinstance(server, socketserver.ForkingMixIn)
                assert (server.multithread, server.multiprocess) == (is_threaded, False)


@shows("differences", "`type(server)` is not the class any more")
def test_the_class_is_a_derived_one() -> None:
    with adopt(QuietThreading(ANY_PORT, Shout), Threaded()) as server:
        assert type(server) is not QuietThreading
        assert issubclass(type(server), QuietThreading)
        assert type(server).__name__ == "QuietThreading"


@shows("differences", "Our classes are not derived from those of `socketserver`")
@pytest.mark.parametrize("name", ["BaseServer", "TCPServer", "UDPServer", "UnixStreamServer"])
def test_our_classes_are_not_the_standard_librarys(name: str) -> None:
    assert not issubclass(getattr(serverstrategy, name), socketserver.BaseServer)
