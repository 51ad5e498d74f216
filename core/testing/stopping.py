"""When accepting ends, and when the work has."""

from __future__ import annotations

import signal
import time
from functools import partial
from typing import Any

from serverstrategy.stop_signal import StopSignal
from serverstrategy.strategy import Strategy

from .clause import Setting, clause
from .client import Client
from .outcome import BrokenError, NotApplicableError
from .stage import Stage
from .trial import MANY, QUIET, Trial, elapsed

_TIMEOUT = 0.3

# How much longer than its timeout a drain may take, in seconds: one that waits as long for each
# connection takes many times as long.
_SLACK = 2.0

# What a server serves before the stop: so many connections, and so many seconds without one.
_CONNECTIONS = 50
_IDLE = 1.2

# How long a handler goes on while drain waits for it, in seconds.
_HOLD = 0.45


@clause
def serve_lasts_until_the_stop(setting: Setting) -> None:
    """`serve` returns when it was told to stop, not before."""
    with setting.trial() as trial:
        try:
            for _ in range(_CONNECTIONS):
                trial.check_echo().close()
            trial.client().ask("raise ValueError")
            for clients in trial.fill():
                for client in clients:
                    client.close()
            time.sleep(_IDLE)
            trial.check_echo().close()
            trial.events.wait_until_quiet(QUIET, setting.patience)
        except BrokenError:
            if not trial.events.select("returned"):
                raise
        if returned := trial.events.select("returned"):
            raise BrokenError(f"serve_forever has returned by itself {returned[0]['error']}")


@clause
def serve_hears_the_stop(setting: Setting) -> None:
    """`serve` returns soon after the stop, whether the server is idle or full."""
    for is_full in (False, True):
        with setting.trial() as trial:
            trial.check_echo().close()
            inside, outside = trial.fill() if is_full else ([], [])
            trial.events.wait_until_quiet(QUIET, setting.patience)
            began = time.monotonic()
            trial.stop()
            if trial.handles_where_it_accepts():  # such a thread hears it when its handler ends
                for client in (*inside, *outside):
                    client.close()
            if not trial.events.wait(lambda: trial.events.select("returned"), setting.patience):
                state = "full" if is_full else "idle"
                raise BrokenError(
                    f"while it was {state}, shutdown was called, and serve has not returned in "
                    f"{elapsed(began)}"
                )


class _Parts(Strategy):
    """Runs another strategy twice, each time until a signal of its own."""

    def __init__(self, inner: Strategy, stage: Stage) -> None:
        self.inner = inner
        self._stage = stage

    def serve(self, server: Any, stop: StopSignal) -> None:
        for number in range(2):
            part = stop.child()
            self._stage.on_signal = part.set
            self._stage.events.tell("part", number=number)
            try:
                self.inner.serve(server, part)
            finally:
                part.close()
            self._stage.events.tell("part ended", number=number)

    def ready(self, server: Any) -> bool:
        return self.inner.ready(server)

    def process_request(self, server: Any, request: Any, client_address: Any) -> None:
        self.inner.process_request(server, request, client_address)

    def drain(self, server: Any, timeout: float | None) -> bool:
        return self.inner.drain(server, timeout)


@clause
def serve_obeys_the_signal_it_was_given(setting: Setting) -> None:
    """The stop is a value: serve may be told to stop although the server as a whole is not."""

    def program(stage: Stage) -> None:
        server = stage.build(_Parts(stage.make(), stage))
        stage.serve(server)
        stage.close(server)

    with setting.trial(program) as trial:
        trial.expect("part", number=0)
        trial.check_echo().close()
        trial.signal(signal.SIGUSR2)
        if not trial.events.wait(
            lambda: trial.events.select("part ended", number=0), setting.patience
        ):
            raise BrokenError("its stop signal, a part of the server's, was set: serve goes on")
        trial.expect("part", number=1)
        trial.check_echo().close()
        trial.end()


@clause
def a_handler_may_shut_down(setting: Setting) -> None:
    """`shutdown`, called in a handler, returns there and stops the server."""
    with setting.trial() as trial:
        client = trial.check_echo()
        if (reply := client.ask("shutdown")) != "called":
            raise BrokenError(f"a handler called shutdown, and its client got {reply}")
        client.close()
        trial.expect("returned")


@clause
def drain_waits_for_the_work(setting: Setting) -> None:
    """`drain` does not return before the handlers have ended."""
    with _draining(setting, None) as trial:
        clients = _hold_in_drain(trial)
        _check_waiting(trial, len(clients))
        # First the last one ends, then the first one: it is all of them that drain waits for.
        for index in (-1, 0):
            if len(clients) > 1:
                clients.pop(index).close()
                _check_waiting(trial, len(clients))


def _check_waiting(trial: Trial, number: int) -> None:
    time.sleep(_HOLD)
    if trial.events.select("drained"):
        raise BrokenError(f"drain has returned while {number} handlers were running")


@clause
def drain_ends_with_the_work(setting: Setting) -> None:
    """`drain` returns True when the handlers have ended."""
    with _draining(setting, None) as trial:
        for client in _hold_in_drain(trial):
            client.close()
        answer = trial.expect("drained")["answer"]
        if answer is not True:
            raise BrokenError(f"all handlers had ended, and drain returned {answer!r}")


@clause
def drain_keeps_its_timeout(setting: Setting) -> None:
    """`drain` returns when its time is over, although handlers are running."""
    with _draining(setting, 0.0, _TIMEOUT) as trial:
        _hold_in_drain(trial, MANY)
        for number, timeout in enumerate((0.0, _TIMEOUT)):
            if not trial.events.wait(partial(_has_drained, trial, number), setting.patience):
                raise BrokenError(f"drain(server, {timeout}) has not returned")
            took = trial.events.select("drained")[number]["took"]
            if took > timeout + _SLACK:
                raise BrokenError(f"drain(server, {timeout}) has returned after {took:.1f} s")


@clause
def drain_tells_what_is_left(setting: Setting) -> None:
    """`drain` returns False when its time is over and handlers are running."""
    for number in (4, 1):
        with _draining(setting, _TIMEOUT) as trial:
            _hold_in_drain(trial, number)
            answer = trial.expect("drained")["answer"]
            if answer is not False:
                raise BrokenError(f"a handler was running, and drain returned {answer!r}")


def _has_drained(trial: Trial, number: int) -> bool:
    return len(trial.events.select("drained")) > number


def _draining(setting: Setting, *timeouts: float | None) -> Trial:
    def program(stage: Stage) -> None:
        strategy = stage.make()
        server = stage.build(strategy)
        stage.serve(server)
        stage.events.tell("draining")
        for timeout in timeouts:
            began = time.monotonic()
            answer = strategy.drain(server, timeout)
            stage.events.tell("drained", answer=answer, took=time.monotonic() - began)
        stage.close(server)

    return setting.trial(program)


def _hold_in_drain(trial: Trial, number: int = 4) -> list[Client]:
    """Open connections, stop the server, and return those that are still handled then."""
    inside, outside = trial.fill(number)
    for client in outside:
        client.close()
    trial.stop()
    if not trial.events.wait(lambda: trial.events.select("draining"), trial.patience / 4):
        begun = trial.events.select("begin")
        if trial.handles_where_it_accepts() and all(each["pid"] == trial.pid for each in begun):
            raise NotApplicableError("the handlers run in the threads that accept")
        trial.expect("draining")
    return inside
