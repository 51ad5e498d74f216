"""Strategies that each break one clause: what is there before, and must not be there afterwards."""

from __future__ import annotations

import _thread
import os
import signal
import subprocess
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


class StartsANamelessThread(Threads):
    """One that the module `threading` does not know of."""

    def __init__(self) -> None:
        super().__init__()
        _thread.start_new_thread(threading.Event().wait, ())


class SharesItsPool(Threads):
    """One for the whole class, which the first of its strategies starts."""

    pool: Any = None

    def __init__(self) -> None:
        super().__init__()
        if SharesItsPool.pool is None:
            SharesItsPool.pool = ThreadPoolExecutor(self.limit)
            SharesItsPool.pool.submit(int)


class StartsAProcess(Threads):
    def __init__(self) -> None:
        super().__init__()
        self.process = subprocess.Popen(["sleep", "60"])


class StartsADaemon(Threads):
    """No child: its parent has ended."""

    def __init__(self) -> None:
        super().__init__()
        pid = os.fork()
        if pid == 0:
            if os.fork() == 0:
                signal.pause()
            os._exit(0)
        os.waitpid(pid, 0)


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


class LeavesACopyInACrowd(Threads):
    limit = 12

    def ready(self, server: Server) -> bool:
        if len(server.in_flight) == self.limit:
            os.dup(server.fileno())
        return super().ready(server)


class LeavesNamelessThreads(Threads):
    def serve(self, server: Server, stop: StopSignal) -> None:
        _thread.start_new_thread(threading.Event().wait, ())
        super().serve(server, stop)


class LeavesAProcess(Threads):
    def serve(self, server: Server, stop: StopSignal) -> None:
        self.process = subprocess.Popen(["sleep", "60"])
        super().serve(server, stop)


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


class ServesOnce(Threads):
    served = False

    def serve(self, server: Server, stop: StopSignal) -> None:
        if self.served:
            raise RuntimeError("it has served")
        self.served = True
        super().serve(server, stop)


class ServesLessAgain(Threads):
    def serve(self, server: Server, stop: StopSignal) -> None:
        super().serve(server, stop)
        self.limit = 1


class DrainsItsPlaces(Threads):
    def drain(self, server: Server, timeout: float | None) -> bool:
        self.limit = 1
        return super().drain(server, timeout)


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
    "constructor_starts_nothing": [
        StartsAThread,
        StartsANamelessThread,
        SharesItsPool,
        StartsAProcess,
        StartsADaemon,
        OpensAPipe,
    ],
    "repr_is_the_expression": [
        OpaqueRepr,
        HidesItsArgument,
    ],
    "no_descriptor_is_left": [
        LeavesAPipe,
        LeavesCopies,
        LeavesACopyOnAnError,
        LeavesACopyInACrowd,
    ],
    "no_thread_is_left": [
        LeavesAThread,
        LeavesNamelessThreads,
        LeavesItsPool,
    ],
    "no_child_is_left": [
        LeavesZombies,
        LeavesAChild,
        LeavesAProcess,
    ],
    "it_serves_again_after_a_shutdown": [
        ServesOnce,
        ServesLessAgain,
        StaysStopped,
    ],
    "it_serves_another_server_after_the_close": [
        StaysDrained,
        DrainsItsPlaces,
        ShutsItsExecutor,
    ],
}
