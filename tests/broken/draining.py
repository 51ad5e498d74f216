"""Strategies that each break one clause: when the work has ended."""

from __future__ import annotations

import threading

from serverstrategy.strategy import Server, Strategy

from .bases import Threads


class DrainsAtOnce(Threads):
    def drain(self, server: Server, timeout: float | None) -> bool:
        return True


class DrainsImpatiently(Threads):
    def drain(self, server: Server, timeout: float | None) -> bool:
        return super().drain(server, 0.1)


class DrainsForASecond(Threads):
    def drain(self, server: Server, timeout: float | None) -> bool:
        return super().drain(server, 1.0 if timeout is None else timeout)


class DrainsTheLastOne(Threads):
    def drain(self, server: Server, timeout: float | None) -> bool:
        for thread in self.threads[-1:]:
            thread.join(timeout)
            return not thread.is_alive()
        return True


class DrainsTheFirstOne(Threads):
    def drain(self, server: Server, timeout: float | None) -> bool:
        number = len(server.in_flight)
        return server.in_flight.wait_until(lambda: len(server.in_flight) < max(number, 1), timeout)


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


class LeavesOutTheLast(Threads):
    def drain(self, server: Server, timeout: float | None) -> bool:
        return super().drain(server, timeout) or len(server.in_flight) == 1


class TakesNoTimeForAllTime(Threads):
    def drain(self, server: Server, timeout: float | None) -> bool:
        return super().drain(server, timeout or None)


class TakesTheTimeoutForEach(Threads):
    limit = 20

    def drain(self, server: Server, timeout: float | None) -> bool:
        for thread in self.threads:
            thread.join(timeout)
        return super().drain(server, 0.0)


class TakesTheTimeoutTwentyTimes(Threads):
    """Each wait may be short, and there are many of them."""

    def drain(self, server: Server, timeout: float | None) -> bool:
        return any(super(type(self), self).drain(server, timeout) for _ in range(20))


CLAUSES: dict[str, list[type[Strategy]]] = {
    "drain_waits_for_the_work": [
        DrainsAtOnce,
        DrainsImpatiently,
        DrainsForASecond,
        DrainsTheFirstOne,
        DrainsTheLastOne,
    ],
    "drain_ends_with_the_work": [
        NeverDrains,
        DrainsWithoutAnAnswer,
    ],
    "drain_keeps_its_timeout": [
        IgnoresTheTimeout,
        JoinsWithoutATimeout,
        TakesNoTimeForAllTime,
        TakesTheTimeoutForEach,
        TakesTheTimeoutTwentyTimes,
    ],
    "drain_tells_what_is_left": [
        TakesTimeForTheEnd,
        LeavesOutTheLast,
        DrainsWithoutAnAnswer,
    ],
}
