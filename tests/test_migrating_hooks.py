"""The rows of the servers' hooks in docs/migrating.md, and of their errors."""

from __future__ import annotations

from typing import Any

import pytest

from adopting import Shout, ask, serving
from migrating import adopted, both, ours, shows
from probes import wait_until
from serverstrategy import Strategy
from serverstrategy.strategies import Threaded


def failing_once(name: str) -> Any:
    """A method that raises at its first call, and later is that of the base class."""
    calls: list[str] = []

    def method(self: Any, *arguments: Any) -> Any:
        calls.append(name)
        if len(calls) == 1:
            raise ValueError(f"{name} fails once")
        base = next(cls for cls in type(self).__mro__ if vars(cls).get(name) is method)
        return getattr(super(base, self), name)(*arguments)

    return method


@shows("servers", "get_request", "verify_request")
@shows("differences", "Errors of `verify_request` and `get_request` cost one connection.")
@pytest.mark.parametrize("name", ["get_request", "verify_request"])
@pytest.mark.parametrize("build", [ours, adopted])
def test_an_error_of_a_hook_costs_one_connection(
    build: Any, name: str, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    failing = {name: failing_once(name)}
    with build(Shout, Threaded(), **failing) as server, serving(server):
        first = ask(server)
        assert first == (b"HI\n" if name == "get_request" else b"")  # it is tried again
        assert ask(server) == b"HI\n"
    reported = caplog.text + capfd.readouterr().err
    assert f"ValueError: {name} fails once" in reported


@shows("servers", "process_request", "finish_request")
@both
def test_process_request_asks_the_strategy_and_finish_request_runs_the_handler(build: Any) -> None:
    calls: list[str] = []

    class Noting(Strategy):
        def process_request(self, server: Any, request: Any, client_address: Any) -> None:
            calls.append("strategy")
            super().process_request(server, request, client_address)

    def finish_request(self: Any, request: Any, client_address: Any) -> None:
        calls.append("finish_request")
        self.RequestHandlerClass(request, client_address, self)

    with build(Shout, Noting(), finish_request=finish_request) as server, serving(server):
        assert ask(server) == b"HI\n"
    assert calls == ["strategy", "finish_request"]


@shows("servers", "shutdown_request", "close_request")
@both
@pytest.mark.parametrize("name", ["shutdown_request", "close_request"])
def test_an_error_at_the_end_of_a_connection_is_logged(
    build: Any, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    with build(Shout, Threaded(), **{name: failing_once(name)}) as server, serving(server):
        assert ask(server) == b"HI\n"
        assert ask(server) == b"HI\n"
        assert wait_until(lambda: len(server.in_flight) == 0)
    assert f"ValueError: {name} fails once" in caplog.text


@shows("servers", "handle_error")
@shows("differences", "`handle_error` writes to the logger `serverstrategy`")
@both
def test_errors_are_logged_by_ours_and_printed_by_an_adopted_class(
    build: Any, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    with build(Shout, Threaded()) as server, serving(server):
        assert ask(server, b"fail\n") == b""
    printed = capfd.readouterr().err
    assert ("Exception occurred during processing" in printed) == (build is adopted)
    logged = [each for each in caplog.records if each.name == "serverstrategy"]
    assert bool(logged) == (build is ours)
    assert "as the client wished" in (caplog.text if build is ours else printed)


@shows("servers", "handle_error")
@shows("differences", "An error of `handle_error` does not leave the connection open.")
@both
def test_a_handle_error_that_fails_closes_the_connection(
    build: Any, caplog: pytest.LogCaptureFixture
) -> None:
    with (
        build(Shout, Threaded(), handle_error=failing_once("handle_error")) as server,
        serving(server),
    ):
        assert ask(server, b"fail\n") == b""
    assert "handle_error failed" in caplog.text
