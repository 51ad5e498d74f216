"""The way of one connection through a server: from the accept to the close."""

from __future__ import annotations

import logging
import threading
from typing import Any

from .hooks import Hooks
from .in_flight import InFlight
from .serving import Serving
from .shortage import Shortage
from .strategy import Strategy

_logger = logging.getLogger("serverstrategy")


class Handling(Hooks):
    """The order of the calls and the fate of the errors, which are those of `socketserver`.

    `get_request`, `verify_request`, `process_request`; the strategy calls `complete_request` in
    the thread or the process of its choice, which calls `finish_request` and `shutdown_request`.
    An `Exception` on the way goes to `handle_error` and costs this connection only.
    """

    in_flight: InFlight
    shortage: Shortage
    _strategy: Strategy
    _serving: Serving
    _admission: threading.Lock
    _is_child: bool

    def process_request(self, request: Any, client_address: Any) -> None:
        """Hand the connection to the strategy."""
        self.in_flight.take(request)
        # The protocol is what BaseServer offers, which is the only subclass.
        self._strategy.process_request(self, request, client_address)  # type: ignore[arg-type]

    def accept_one(self) -> None:
        """See `Server.accept_one`."""
        self._handle_request_noblock()

    def _handle_request_noblock(self) -> None:
        """Accept one connection if there is one and there is room, and hand it on.

        Where several threads accept, the question for room, the accept and the entry in
        `in_flight` are one step: no two of them can take the last room.
        """
        accepted: list[Any] = []
        handed_over = False
        try:
            with self._admission:
                self._accept(accepted)
            if accepted:
                handed_over = self._hand_over(*accepted)
        finally:
            # What a handler has got, the handler's side closes; the rest goes no further.
            if accepted and not handed_over:
                self._end_unless_begun(accepted[0])

    def _accept(self, accepted: list[Any]) -> None:
        """Accept if there is room: append the connection and its peer's address."""
        if not self._strategy.ready(self):  # type: ignore[arg-type]
            return
        try:
            request, client_address = self.get_request()
        except Exception as error:  # noqa: BLE001 - what it raises costs one connection
            self.shortage.note(error)
            return
        accepted += request, client_address
        self.shortage.over()
        self.in_flight.add(request, client_address).thread = threading.get_ident()

    def _hand_over(self, request: Any, client_address: Any) -> bool:
        """Pass the connection on; False if it was refused, or if that failed and was reported."""
        try:
            if not self.verify_request(request, client_address):
                return False
            self.process_request(request, client_address)
        except Exception:  # noqa: BLE001 - handle_error is for any of them
            self._report(request, client_address)
            return False
        # A process_request that is overridden may do it all by itself, as it did when there were
        # no strategies; then it is its own business, and not waited for.
        self.in_flight.remove_unless_taken(request)
        return True

    def complete_request(self, request: Any, client_address: Any) -> None:
        """See `Server.complete_request`."""
        self.in_flight.begin(request, client_address)
        try:
            self.finish_request(request, client_address)
        except Exception:  # noqa: BLE001 - handle_error is for any of them
            self._report(request, client_address)
        except BaseException:
            if self._is_the_callers():
                raise
            self._report(request, client_address)
        finally:
            self._end(request)

    def _report(self, request: Any, client_address: Any) -> None:
        """Call `handle_error`, which a subclass may have got wrong."""
        try:
            self.handle_error(request, client_address)
        except BaseException as error:  # noqa: BLE001 - _log decides
            self._log(error, "handle_error failed for the connection from %s", client_address)

    def _end(self, request: Any) -> None:
        """Call `shutdown_request`, which a subclass may have got wrong."""
        try:
            self.shutdown_request(request)
        except BaseException as error:  # noqa: BLE001 - _log decides
            try:
                self.close_request(request)
            except Exception:
                _logger.exception("close_request failed")
            self._log(error, "shutdown_request failed")
        finally:
            self.in_flight.remove(request)

    def _end_unless_begun(self, request: Any) -> None:
        if request in self.in_flight and not self.in_flight.is_begun(request):
            self._end(request)

    def _log(self, error: BaseException, message: str, *arguments: object) -> None:
        """Log what costs one connection; let through what is meant for the caller."""
        if not isinstance(error, Exception) and self._is_the_callers():
            raise error
        _logger.error(message, *arguments, exc_info=error)

    def _is_the_callers(self) -> bool:
        """Whether this is the thread of the application's own call, which wants its Ctrl-C."""
        return not self._is_child and self._serving.is_caller()
