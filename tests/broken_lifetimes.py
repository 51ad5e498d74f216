"""Strategies that each break one clause: what is left, who is accepted, and when it ends."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from bases import Forks, Threads
from serverstrategy.stop_signal import StopSignal
from serverstrategy.strategies import ThreadPool
from serverstrategy.strategy import Server, Strategy


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


class Nest(Strategy):
    multithread = True

    def __init__(self) -> None:
        self.inner = ThreadPool(3)

    def process_request(self, server: Server, request: Any, client_address: Any) -> None:
        self.inner.process_request(server, request, client_address)

    def serve(self, server: Server, stop: StopSignal) -> None:
        self.inner.serve(server, stop)

    def ready(self, server: Server) -> bool:
        return self.inner.ready(server)

    def drain(self, server: Server, timeout: float | None) -> bool:
        return self.inner.drain(server, timeout)


class NestWithoutDrain(Nest):
    def drain(self, server: Server, timeout: float | None) -> bool:
        return server.in_flight.wait_for_none(timeout)


class NestWithoutReady(Nest):
    def ready(self, server: Server) -> bool:
        return True


class NestWithoutServe(Nest):
    def serve(self, server: Server, stop: StopSignal) -> None:
        server.accept_until_stopped(stop)


class Queues(ShutsItsExecutor):
    def ready(self, server: Server) -> bool:
        return True


class BlocksOnASemaphore(Threads):
    def __init__(self) -> None:
        super().__init__()
        self.places = threading.Semaphore(3)

    def ready(self, server: Server) -> bool:
        return True

    def process_request(self, server: Server, request: Any, client_address: Any) -> None:
        self.places.acquire()
        super().process_request(server, request, client_address)

    def run(self, server: Any, request: Any, client_address: Any) -> None:
        super().run(server, request, client_address)
        self.places.release()


class WaitsForRoom(Threads):
    def ready(self, server: Server) -> bool:
        return True

    def process_request(self, server: Server, request: Any, client_address: Any) -> None:
        server.in_flight.wait_until(lambda: len(server.in_flight) <= self.limit, None)
        super().process_request(server, request, client_address)


class OnceFullAlwaysFull(Threads):
    full = False

    def ready(self, server: Server) -> bool:
        self.full = self.full or not super().ready(server)
        return not self.full


class NeverCountsDown(Threads):
    def ready(self, server: Server) -> bool:
        return len(self.threads) < 8


class Spins(Threads):
    def serve(self, server: Server, stop: StopSignal) -> None:
        server.mark_serving()
        while not stop.is_set():
            server.accept_one()


class SpinsWhileFull(Threads):
    def serve(self, server: Server, stop: StopSignal) -> None:
        server.mark_serving()
        while not stop.is_set():
            select.select([server, *stop.filenos()], [], [])
            server.accept_one()


class StopsAfterOne(Threads):
    def serve(self, server: Server, stop: StopSignal) -> None:
        server.mark_serving()
        select.select([server, *stop.filenos()], [], [])
        server.accept_one()


class AcceptsElsewhere(Threads):
    def serve(self, server: Server, stop: StopSignal) -> None:
        threading.Thread(target=server.accept_until_stopped, args=(stop,), daemon=True).start()


class Deaf(Threads):
    def serve(self, server: Server, stop: StopSignal) -> None:
        server.mark_serving()
        while True:
            if select.select([server], [], [], 0.05)[0]:
                server.accept_one()


class HearsAfterTheNext(Threads):
    def serve(self, server: Server, stop: StopSignal) -> None:
        server.mark_serving()
        while not stop.is_set():
            select.select([server], [], [])
            server.accept_one()


class HearsWhenEmpty(Threads):
    """Deaf from the moment on at which it was full."""

    def serve(self, server: Server, stop: StopSignal) -> None:
        server.mark_serving()
        full = False
        while full or not stop.is_set():
            if select.select([server], [], [], 0.05)[0]:
                server.accept_one()
            full = full or not self.ready(server)


class ObeysTheWhole(Threads):
    def serve(self, server: Server, stop: StopSignal) -> None:
        server.accept_until_stopped(stop._parent or stop)


class ObeysTheServer(Threads):
    def serve(self, server: Any, stop: StopSignal) -> None:
        server.mark_serving()
        while not server._serverstrategy.serving.is_stopping():
            if select.select([server], [], [], 0.05)[0]:
                server.accept_one()


class JoinsInServe(Threads):
    def serve(self, server: Server, stop: StopSignal) -> None:
        super().serve(server, stop)
        self.join()

    def run(self, server: Any, request: Any, client_address: Any) -> None:
        try:
            server.finish_request(request, client_address)
        except Exception:
            server.handle_error(request, client_address)
        server.shutdown_request(request)


class ChildrenCannotAsk(Forks):
    def serve(self, server: Server, stop: StopSignal) -> None:
        self.stop = stop
        super().serve(server, stop)

    def become_child(self, server: Server) -> None:
        super().become_child(server)
        self.stop.close()


class DrainsAtOnce(Threads):
    def drain(self, server: Server, timeout: float | None) -> bool:
        return True


class DrainsImpatiently(Threads):
    def drain(self, server: Server, timeout: float | None) -> bool:
        return super().drain(server, 0.1)


class NeverDrains(Threads):
    def drain(self, server: Server, timeout: float | None) -> bool:
        threading.Event().wait(timeout)
        return super().drain(server, 0.0)


class DrainsWithoutAnAnswer(Threads):
    def drain(self, server: Server, timeout: float | None) -> bool:
        super().drain(server, timeout)
        return None  # type: ignore[return-value]


class IgnoresTheTimeout(Threads):
    def drain(self, server: Server, timeout: float | None) -> bool:
        return super().drain(server, None)


class JoinsWithoutATimeout(Threads):
    def drain(self, server: Server, timeout: float | None) -> bool:
        self.join()
        return True


class TakesTimeForTheEnd(Threads):
    def drain(self, server: Server, timeout: float | None) -> bool:
        super().drain(server, timeout)
        return True


class TakesTheTimeoutTwentyTimes(Threads):
    """Each wait may be short, and there are many of them."""

    def drain(self, server: Server, timeout: float | None) -> bool:
        return any(super(type(self), self).drain(server, timeout) for _ in range(20))


CLAUSES: dict[str, list[type[Strategy]]] = {
    "constructor_starts_nothing": [StartsAThread, OpensAPipe],
    "repr_is_the_expression": [OpaqueRepr, HidesItsArgument],
    "no_descriptor_is_left": [LeavesAPipe, LeavesCopies],
    "no_thread_is_left": [LeavesAThread, LeavesItsPool],
    "no_child_is_left": [LeavesZombies, LeavesAChild],
    "children_leave_the_listener": [KeepsTheListener, HelperKeepsTheListener],
    "children_of_the_application_are_left_alone": [ReapsAll, IgnoresChildren, ReapsAllInDrain],
    "it_serves_again_after_a_shutdown": [ServesOnce, StaysStopped],
    "it_serves_another_server_after_the_close": [StaysDrained, ShutsItsExecutor],
    "nests_pass_on_all_questions": [NestWithoutDrain, NestWithoutReady, NestWithoutServe],
    "room_comes_before_the_accept": [Queues, NestWithoutReady],
    "process_request_does_not_wait_for_room": [BlocksOnASemaphore, WaitsForRoom],
    "room_that_comes_back_is_used": [OnceFullAlwaysFull, NeverCountsDown],
    "waiting_costs_nothing": [Spins, SpinsWhileFull],
    "serve_lasts_until_the_stop": [StopsAfterOne, AcceptsElsewhere],
    "serve_hears_the_stop": [Deaf, HearsAfterTheNext, HearsWhenEmpty],
    "serve_obeys_the_signal_it_was_given": [ObeysTheWhole, ObeysTheServer],
    "a_handler_may_shut_down": [JoinsInServe, ChildrenCannotAsk],
    "drain_waits_for_the_work": [DrainsAtOnce, DrainsImpatiently],
    "drain_ends_with_the_work": [NeverDrains, DrainsWithoutAnAnswer],
    "drain_keeps_its_timeout": [IgnoresTheTimeout, JoinsWithoutATimeout, TakesTheTimeoutTwentyTimes],
    "drain_tells_what_is_left": [TakesTimeForTheEnd, DrainsWithoutAnAnswer],
}
