"""Strategies that each break one clause: what children keep, and who reaps them."""

from __future__ import annotations

import contextlib
import os
import signal
from typing import Any

from serverstrategy.stop_signal import StopSignal
from serverstrategy.strategy import Server, Strategy

from .bases import Forks, Threads


class KeepsTheListener(Forks):
    def become_child(self, server: Server) -> None:
        pass


class HelperKeepsTheListener(Threads):
    def serve(self, server: Server, stop: StopSignal) -> None:
        self.helper = os.fork()
        if self.helper == 0:
            signal.pause()
            os._exit(0)
        super().serve(server, stop)

    def join(self) -> None:
        super().join()
        os.kill(self.helper, signal.SIGKILL)
        os.waitpid(self.helper, 0)


class ReapsAll(Threads):
    def ready(self, server: Server) -> bool:
        with contextlib.suppress(ChildProcessError):
            os.waitpid(-1, os.WNOHANG)
        return super().ready(server)


class ReapsAllWhenFull(Forks):
    def process_request(self, server: Server, request: Any, client_address: Any) -> None:
        super().process_request(server, request, client_address)
        if len(server.in_flight) == self.limit:
            with contextlib.suppress(ChildProcessError):
                os.waitpid(-1, os.WNOHANG)


class IgnoresChildrenLater(Threads):
    def process_request(self, server: Server, request: Any, client_address: Any) -> None:
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)
        super().process_request(server, request, client_address)


class IgnoresChildren(Threads):
    def serve(self, server: Server, stop: StopSignal) -> None:
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)
        super().serve(server, stop)


class ReapsAllInDrain(Threads):
    def join(self) -> None:
        super().join()
        with contextlib.suppress(ChildProcessError):
            while True:
                os.waitpid(-1, 0)


CLAUSES: dict[str, list[type[Strategy]]] = {
    "children_leave_the_listener": [
        KeepsTheListener,
        HelperKeepsTheListener,
    ],
    "children_of_the_application_are_left_alone": [
        ReapsAll,
        ReapsAllWhenFull,
        ReapsAllInDrain,
        IgnoresChildren,
        IgnoresChildrenLater,
    ],
}
