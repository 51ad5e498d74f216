"""Strategies that fulfil the contract, slowly."""

from __future__ import annotations

import time
from typing import Any

from bases import Threads
from serverstrategy.stop_signal import StopSignal
from serverstrategy.strategy import Server


class SlowStart(Threads):
    def run(self, server: Any, request: Any, client_address: Any) -> None:
        time.sleep(0.1)
        super().run(server, request, client_address)


class SlowDrain(Threads):
    def drain(self, server: Server, timeout: float | None) -> bool:
        ended = super().drain(server, timeout)
        time.sleep(0.3)
        return ended


class SlowReady(Threads):
    def ready(self, server: Server) -> bool:
        time.sleep(0.005)
        return super().ready(server)


class SlowStop(Threads):
    def serve(self, server: Server, stop: StopSignal) -> None:
        super().serve(server, stop)
        time.sleep(0.2)


class SlowServe(Threads):
    def serve(self, server: Server, stop: StopSignal) -> None:
        time.sleep(0.3)
        super().serve(server, stop)


SLOW = [SlowStart, SlowDrain, SlowReady, SlowStop, SlowServe]
