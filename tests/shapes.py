"""Servers in the shapes that programs give them, written for `socketserver` and nothing else.

Each takes (address, handler), and does one thing that such servers do.
"""

from __future__ import annotations

import abc
import contextlib
import queue
import select
import socket
import socketserver
import threading
from typing import Any

SLOTS = 3


class Plain(socketserver.TCPServer):
    """One connection at a time."""

    request_queue_size = 128


class Threading(socketserver.ThreadingMixIn, Plain):
    """A thread for each connection."""


class ForkingShape(socketserver.ForkingMixIn, Plain):
    """A process for each connection."""


class MixInLast(Plain, socketserver.ThreadingMixIn):
    """The mix-in stands where it has no effect."""


class OwnInit(Plain):
    """Its constructor calls that of BaseServer only, and makes the socket by itself."""

    def __init__(self, address: Any, handler: Any) -> None:
        socketserver.BaseServer.__init__(self, address, handler)
        self.socket = socket.create_server(address, backlog=128)
        self.server_address = self.socket.getsockname()


class NoInit(Plain):
    """Its constructor calls no other one."""

    def __init__(self, address: Any, handler: Any) -> None:
        self.RequestHandlerClass = handler
        self.socket = socket.create_server(address, backlog=128)
        self.server_address = self.socket.getsockname()


class NoSocket(socketserver.BaseServer):
    """Built on BaseServer; what it waits for has a name of its own, and it alone closes that."""

    def __init__(self, address: Any, handler: Any) -> None:
        self.door = socket.create_server(address, backlog=128)
        super().__init__(self.door.getsockname(), handler)

    def fileno(self) -> int:
        return self.door.fileno()

    def get_request(self) -> tuple[Any, Any]:
        return self.door.accept()

    def close_request(self, request: Any) -> None:
        request.close()

    def server_close(self) -> None:
        self.door.close()


class SlotInVerify(Threading):
    """A slot is taken in verify_request, and given back where the thread ends."""

    def __init__(self, address: Any, handler: Any) -> None:
        super().__init__(address, handler)
        self.slots = threading.BoundedSemaphore(SLOTS)

    def verify_request(self, request: Any, client_address: Any) -> bool:
        return self.slots.acquire(timeout=5)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self.slots.release()


class SlotInProcess(SlotInVerify):
    """A slot is taken in process_request, which then calls that of the mix-in."""

    def verify_request(self, request: Any, client_address: Any) -> bool:
        return True

    def process_request(self, request: Any, client_address: Any) -> None:
        if not self.slots.acquire(timeout=5):
            raise TimeoutError("no slot")
        try:
            super().process_request(request, client_address)
        except Exception:
            self.slots.release()
            raise


class ByName(Threading):
    """Calls the methods of its base classes by the names of the classes."""

    handed_on = 0

    def process_request(self, request: Any, client: Any) -> None:
        self.handed_on += 1
        socketserver.ThreadingMixIn.process_request(self, request, client)

    def shutdown(self) -> None:
        socketserver.TCPServer.shutdown(self)

    def server_close(self) -> None:
        self.socket.close()


class LoopByName(Threading):
    """Serves by the standard library's loop, called past every class."""

    def serve_forever(self, poll_interval: float = 0.5) -> None:
        socketserver.BaseServer.serve_forever(self, 0.01)


class OwnThreads(Plain):
    """Starts a thread for each connection by itself."""

    def process_request(self, request: Any, client_address: Any) -> None:
        arguments = (request, client_address)
        threading.Thread(target=self.process_request_thread, args=arguments, daemon=True).start()

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        self.finish_request(request, client_address)
        self.shutdown_request(request)


class OwnThreadsFinish(Plain):
    """Starts a thread that runs the handler only; nobody closes the connection."""

    def process_request(self, request: Any, client_address: Any) -> None:
        threading.Thread(
            target=self.finish_request, args=(request, client_address), daemon=True
        ).start()


class OwnPool(Plain):
    """Has threads that wait for connections in a queue, from its constructor on."""

    def __init__(self, address: Any, handler: Any) -> None:
        self.jobs: queue.Queue[Any] = queue.Queue()
        super().__init__(address, handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        self.jobs.put((request, client_address))


class FinishesByItself(Plain):
    """Runs the handler in process_request, and leaves the connection open."""

    def process_request(self, request: Any, client_address: Any) -> None:
        self.finish_request(request, client_address)

    def finish_request(self, request: Any, client_address: Any) -> None:
        def go_on() -> None:
            super(FinishesByItself, self).finish_request(request, client_address)
            self.shutdown_request(request)

        threading.Thread(target=go_on).start()


class ThreadGoesOn(socketserver.ThreadingMixIn, FinishesByItself):
    """A thread keeps the connection after process_request_thread has returned."""

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            self.finish_request(request, client_address)
        except Exception:  # noqa: BLE001 - as it is done
            self.handle_error(request, client_address)
            self.shutdown_request(request)


class OwnLoop(Threading):
    """Serves by handle_request, until a flag of its own is set."""

    timeout = 0.01
    is_over = False

    def serve_forever(self, poll_interval: float = 0.5) -> None:
        while not self.is_over:
            self.handle_request()

    def shutdown(self) -> None:
        self.is_over = True


class OwnSelect(OwnLoop):
    """Serves by select and _handle_request_noblock."""

    def serve_forever(self, poll_interval: float = 0.5) -> None:
        while not self.is_over:
            if select.select([self], [], [], self.timeout)[0]:
                self._handle_request_noblock()
            self.service_actions()


class CarefulNoblock(Threading):
    """Looks at the private flag before each accept."""

    def _handle_request_noblock(self) -> None:
        if not self._BaseServer__shutdown_request:  # type: ignore[attr-defined]
            super()._handle_request_noblock()


class FlagSetter(Threading):
    """Stops by the private flag, as signal handlers do to avoid a deadlock."""

    def shutdown(self) -> None:
        self._BaseServer__shutdown_request = True


class ClosesInLoop(Threading):
    """Closes at the end of its serve_forever, and is closed again by its user."""

    def serve_forever(self, poll_interval: float = 0.5) -> None:
        try:
            super().serve_forever(poll_interval)
        finally:
            self.server_close()


class ClosesAndGoesOn(Threading):
    """Closes the socket that its constructor made, and gets another one."""

    def __init__(self, address: Any, handler: Any) -> None:
        super().__init__(address, handler)
        self.server_close()
        self.socket = socket.create_server(address, backlog=128)
        self.server_address = self.socket.getsockname()


class ServiceActions(Threading):
    """Overrides service_actions without super."""

    def service_actions(self) -> None:
        pass


class ListenerWithTimeout(Threading):
    """The listener has a timeout."""

    def server_bind(self) -> None:
        self.socket.settimeout(30)
        super().server_bind()


class AcceptsElsewhere(Threading):
    """A thread accepts; get_request takes what it has put into a queue."""

    def server_activate(self) -> None:
        super().server_activate()
        self.accepted: list[Any] = []
        self.bell, self.button = socket.socketpair()
        self.bell.setblocking(False)
        self.accepting = threading.Thread(target=self.accept)
        self.accepting.start()

    def accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                self.accepted.append(self.socket.accept())
                self.button.send(b"!")

    def fileno(self) -> int:
        return self.bell.fileno()

    def get_request(self) -> tuple[Any, Any]:
        self.bell.recv(1)
        request, client_address = self.accepted.pop()
        return request, client_address

    def server_close(self) -> None:
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)
        self.accepting.join()
        super().server_close()
        self.bell.close()
        self.button.close()


class Dropped(socket.socket):
    """Closed when nobody has it any more."""

    def __del__(self) -> None:
        self.close()


class AddressHoldsSocket(Threading):
    """The client's address is a tuple with a socket in it, closed when the handler has ended."""

    held: Any = None

    def get_request(self) -> tuple[Any, Any]:
        request, client_address = super().get_request()
        pair = socket.socketpair()
        self.held, theirs = (Dropped(fileno=end.detach()) for end in pair)
        return request, (client_address, theirs)

    def finish_request(self, request: Any, client_address: Any) -> None:
        address, held = client_address
        with held:
            super().finish_request(request, address)

    def server_close(self) -> None:
        super().server_close()
        self.held = None


class Abstract(Threading, abc.ABC):
    """Its class has a metaclass."""


SHAPES = {
    cls.__name__: cls
    for cls in list(globals().values())
    if isinstance(cls, type) and issubclass(cls, socketserver.BaseServer)
}
