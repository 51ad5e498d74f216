"""Blocking handlers in a pool of threads, and an asyncio loop in the thread that accepts."""

import asyncio
from collections.abc import Iterable, Sequence

from serverstrategy import Server, StopSignal
from serverstrategy.strategies import ThreadPool


class AsyncioLoop(ThreadPool):
    """A `ThreadPool` whose acceptor waits in an asyncio loop, where the program's tasks run too."""

    def serve(self, server: Server, stop: StopSignal) -> None:
        with asyncio.Runner() as runner:
            self.loop = runner.get_loop()

            def wait(fds: Sequence[int], timeout: float | None) -> Iterable[int]:
                return runner.run(readable(fds, timeout))

            server.accept_until_stopped(stop, wait)


async def readable(fds: Sequence[int], timeout: float | None) -> Iterable[int]:
    """The first of the descriptors that is readable; none if the time, in seconds, is over."""
    loop = asyncio.get_running_loop()
    first: asyncio.Future[int] = loop.create_future()

    def note(fd: int) -> None:
        if not first.done():
            first.set_result(fd)

    for fd in fds:
        loop.add_reader(fd, note, fd)
    try:
        return [await asyncio.wait_for(first, timeout)]
    except TimeoutError:
        return []
    finally:
        for fd in fds:
            loop.remove_reader(fd)
