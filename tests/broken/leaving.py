"""Strategies that each break one clause: what is there before, and must not be there afterwards."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from serverstrategy.stop_signal import StopSignal
from serverstrategy.strategy import Server, Strategy

from .bases import Forks, Threads


class StartsAThread(Threads):
    def __init__(self) -> None:
        super().__init__()
        threading.Thread(target=threading.Event().wait, daemon=True).start()


class OpensAPipe(Threads):
    def __init__(self) -> None:
        super().__init__()
        self.pipe = os.pipe()


class OpaqueRepr(Threads):
    def __repr__(self) -> str:
        return "<a strategy>"


class HidesItsArgument(Threads):
    def __init__(self, number: int = 3) -> None:
        super().__init__()
        self.limit = number


class LeavesAPipe(Threads):
    def serve(self, server: Server, stop: StopSignal) -> None:
        self.pipe = os.pipe()
        super().serve(server, stop)


class LeavesCopies(Threads):
    def run(self, server: Any, request: Any, client_address: Any) -> None:
        os.dup(request.fileno())
        super().run(server, request, client_address)


class LeavesACopyOnAnError(Threads):
    def run(self, server: Any, request: Any, client_address: Any) -> None:
        try:
            server.finish_request(request, client_address)
        except Exception:  # noqa: BLE001
            os.dup(server.fileno())
            server.handle_error(request, client_address)
        server.shutdown_request(request)


class LeavesAThread(Threads):
    def serve(self, server: Server, stop: StopSignal) -> None:
        threading.Thread(target=threading.Event().wait, daemon=True).start()
        super().serve(server, stop)


class LeavesItsPool(Threads):
    def process_request(self, server: Server, request: Any, client_address: Any) -> None:
        if not self.threads:
            self.pool = ThreadPoolExecutor(self.limit)
            self.threads.append(threading.Thread())
        self.pool.submit(server.complete_request, request, client_address)

    def join(self) -> None:
        self.threads.clear()


class LeavesZombies(Forks):
    def reap(self, server: Server, request: Any, client_address: Any, pid: int) -> None:
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
        server.end_child(request, client_address)


class LeavesAChild(Threads):
    def serve(self, server: Server, stop: StopSignal) -> None:
        if os.fork() == 0:
            signal.pause()
            os._exit(0)
        super().serve(server, stop)


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


class ServesOnce(Threads):
    served = False

    def serve(self, server: Server, stop: StopSignal) -> None:
        if self.served:
            raise RuntimeError("it has served")
        self.served = True
        super().serve(server, stop)


class StaysStopped(Threads):
    stopped = False

    def serve(self, server: Server, stop: StopSignal) -> None:
        super().serve(server, stop)
        self.stopped = True

    def ready(self, server: Server) -> bool:
        return not self.stopped and super().ready(server)


class StaysDrained(Threads):
    drained = False

    def ready(self, server: Server) -> bool:
        return not self.drained and super().ready(server)

    def drain(self, server: Server, timeout: float | None) -> bool:
        self.drained = True
        return super().drain(server, timeout)


class ShutsItsExecutor(Threads):
    pool: Any = None

    def process_request(self, server: Server, request: Any, client_address: Any) -> None:
        self.pool = self.pool or ThreadPoolExecutor(self.limit)
        self.pool.submit(server.complete_request, request, client_address)

    def join(self) -> None:
        if self.pool is not None:
            self.pool.shutdown()


CLAUSES: dict[str, list[type[Strategy]]] = {
    "constructor_starts_nothing": [StartsAThread, OpensAPipe],
    "repr_is_the_expression": [OpaqueRepr, HidesItsArgument],
    "no_descriptor_is_left": [LeavesAPipe, LeavesCopies, LeavesACopyOnAnError],
    "no_thread_is_left": [LeavesAThread, LeavesItsPool],
    "no_child_is_left": [LeavesZombies, LeavesAChild],
    "children_leave_the_listener": [KeepsTheListener, HelperKeepsTheListener],
    "children_of_the_application_are_left_alone": [ReapsAll, IgnoresChildren, ReapsAllInDrain],
    "it_serves_again_after_a_shutdown": [ServesOnce, StaysStopped],
    "it_serves_another_server_after_the_close": [StaysDrained, ShutsItsExecutor],
}
