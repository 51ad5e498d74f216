"""When the work has ended."""

from __future__ import annotations

import time
from functools import partial

from .clause import Setting, clause
from .client import Client
from .outcome import BrokenError, NotApplicableError
from .stage import Stage
from .trial import MANY, Trial

_TIMEOUT = 0.3


# How much longer than its timeout a drain may take, in seconds: one that waits as long for each
# connection takes many times as long.
_SLACK = 2.0


# How long a handler goes on while drain waits for it, in seconds.
_HOLD = 0.45


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
