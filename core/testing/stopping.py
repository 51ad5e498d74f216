"""When accepting ends, and when the work has."""

from __future__ import annotations

import signal
import time
from typing import Any

from serverstrategy.stop_signal import StopSignal
from serverstrategy.strategy import Strategy

from .clause import Setting, clause
from .outcome import BrokenError
from .stage import Stage
from .trial import QUIET, elapsed

# What a server serves before the stop: so many connections, and so many seconds without one.
_CONNECTIONS = 50
_IDLE = 1.2


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
