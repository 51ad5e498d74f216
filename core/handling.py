"""The way of one connection through a server: from the accept to the close."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from . import fate
from .connection import Connection, without_resources
from .hook_wait import HookWait
from .in_flight import InFlight
from .overriding import calls_super
from .relay import for_any_thread
from .state import MakeStrategy, StateAttribute
from .strategy import Strategy

if TYPE_CHECKING:
    # At run time the hooks come later, in a class of ours or in one of the standard library's.
    from .hooks import Hooks
else:
    Hooks = object

# How long a loop that is not ours is kept from asking again while there is no room, in seconds: as
# long as the loop of the standard library waits before it looks at its own flags.
_PATIENCE = 0.5

_NONE = object()  # which no `get_request` returns


class Handling(Hooks):
    """The order of the calls and the fate of the errors, which are those of `socketserver`.

    `get_request`, `verify_request`, `process_request`; the strategy calls `complete_request` in
    the thread or the process of its choice, which calls `finish_request` and `shutdown_request`.
    An `Exception` on the way goes to `handle_error` and costs this connection only.
    """

    make_strategy: MakeStrategy = Strategy

    _serverstrategy = StateAttribute()

    @for_any_thread
    def process_request(self, request: Any, client_address: Any) -> None:
        """Hand the connection to the strategy."""
        state = self._serverstrategy
        connection = state.in_flight.take(request, client_address)
        if connection.hook_wait is not None:
            connection.hook_wait.end()
        generation = state.succession.current
        if generation.in_flight is not connection.part:
            generation = state.succession.of(connection.part)
        view = generation.view or generation.facing(self)
        generation.strategy.process_request(view, request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Handle the connection, in the thread or the process that the strategy chose.

        Calls `finish_request`, `handle_error` if that fails, and `shutdown_request`. Raises what
        `complete_request` does. Its name is that of the standard library, which has it for threads
        only; one that a subclass has in its place decides by itself what becomes of the connection.
        """
        if id(request) in self._serverstrategy.settled:
            return
        try:
            self.finish_request(request, client_address)
        except Exception:  # noqa: BLE001 - handle_error is for any of them
            fate.report(self, request, client_address)
        except BaseException:
            if fate.is_the_callers(self):
                raise
            fate.report(self, request, client_address)
        finally:
            fate.end(self, request)

    def complete_request(self, request: Any, client_address: Any) -> None:
        """See `Server.complete_request`."""
        state = self._serverstrategy
        in_flight = state.in_flight
        in_flight.begin(request, client_address)
        try:
            self.process_request_thread(request, client_address)
        except BaseException as error:  # noqa: BLE001 - fail decides
            fate.fail(self, error, request, client_address)
        finally:
            part = in_flight.strike_off(request)
            if in_flight.parked and (part is None or not state.relay.accept(self, part)):
                in_flight.pass_on()

    def address_beside_child(self, client_address: Any) -> Any:
        """See `Server.address_beside_child`."""
        return client_address if self.__wraps_handling() else without_resources(client_address)

    def end_child(self, request: Any, client_address: Any) -> None:
        """See `Server.end_child`."""
        try:
            self.__settle(request, client_address)
        finally:
            self._serverstrategy.in_flight.remove(request)

    def refuse_request(self, request: Any, client_address: Any) -> None:
        """See `Server.refuse_request`."""
        try:
            self.__settle(request, client_address)
        finally:
            fate.end_unless_begun(self, request)

    def accept_one(self) -> None:
        """See `Server.accept_one`."""
        self._serverstrategy_accept()

    @for_any_thread
    def _handle_request_noblock(self) -> None:
        """Accept one connection if there is one, and hand it on.

        A loop of the application's own may call it too: while there is no room for a connection,
        such a loop is held for half a second at most.
        """
        serving = self._serverstrategy.serving
        if serving.acceptors.is_here():  # which has asked for room
            self._serverstrategy_accept()
            return
        self._serverstrategy.belong_to_this_process()
        with serving.acceptors.caller(self) as acceptor:  # type: ignore[arg-type]
            if acceptor.wait_for_room(_PATIENCE):
                self._serverstrategy_accept()

    def _serverstrategy_accept(self, part: InFlight | None = None) -> bool:
        """Accept one connection, if there is one and there is room, and hand it on.

        Args:
            part: of which the calling thread has ended a connection, in whose place it accepts;
                None: it is an acceptor.

        Returns:
            Whether one was accepted.
        """
        state = self._serverstrategy
        succession, in_flight = state.succession, state.in_flight
        if succession.retired.generations:
            succession.retired.attend(self)
        request: Any = _NONE
        is_handed_over = False
        try:
            # Where several threads accept, the question for room, the accept and the entry in
            # `in_flight` are one step: no two of them can take the last room.
            with state.admission:
                if part is not None and not state.relay.goes_on(state, part):
                    return False
                if not succession.ready(self):
                    state.left += 1
                    return False
                try:
                    request, client_address = self.get_request()
                except Exception as error:  # noqa: BLE001 - what it raises costs one connection
                    state.shortage.note(error)
                    state.left += not isinstance(error, BlockingIOError)
                    return False
                state.accepted += 1
                if state.shortage.has_failed:
                    state.shortage.over()
                connection = in_flight.add(request, client_address, threading.get_ident())
            if not succession.current.watched or not self.__may_wait_for_children():
                is_handed_over = self.__hand_over(connection)
            else:
                with HookWait(succession.watched()) as connection.hook_wait:
                    is_handed_over = self.__hand_over(connection)
        finally:
            # What a handler has got, the handler's side closes; the rest goes no further.
            if not is_handed_over and request is not _NONE:
                fate.end_unless_begun(self, request)
        return True

    def __hand_over(self, connection: Connection) -> bool:
        """Pass the connection on; False if it was refused, or if that failed and was reported."""
        request, client_address = connection.request, connection.client_address
        try:
            if not self.verify_request(request, client_address):
                return False
            self.process_request(request, client_address)
        except Exception:  # noqa: BLE001 - handle_error is for any of them
            fate.report(self, request, client_address)
            return False
        # A process_request that is overridden may do it all by itself, as it did when there were
        # no strategies; then it is its own business, and not waited for.
        if not connection.is_taken:
            self._serverstrategy.in_flight.remove(request)
        return True

    def __may_wait_for_children(self) -> bool:
        """Whether a hook may wait for what is given back when a child ends, and some have not."""
        if not self.__wraps_handling():
            return False
        state = self._serverstrategy
        for each in state.succession.watched():
            each.check()
        return any(connection.child is not None for connection in state.in_flight)

    def __settle(self, request: Any, client_address: Any) -> None:
        """Do what a subclass has put around `process_request_thread`, without ours inside."""
        settled = self._serverstrategy.settled
        try:
            if self.__wraps_handling():
                settled.add(id(request))
                self.process_request_thread(request, client_address)
        except Exception as error:  # noqa: BLE001 - it costs this connection only
            message = "process_request_thread failed, without a handler, for %s"
            fate.log(self, error, message, client_address)
        finally:
            settled.discard(id(request))

    def __wraps_handling(self) -> bool:
        """Whether a subclass has put something around `process_request_thread`."""
        state = self._serverstrategy
        method = type(self).process_request_thread
        if state.handling_method is not method:
            state.handling_method = method
            state.wraps_handling = method is not Handling.process_request_thread and calls_super(
                method, "process_request_thread"
            )
        return state.wraps_handling
