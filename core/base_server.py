"""What is the same for every kind of socket."""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

from . import standard
from .hooks import Hooks
from .servable import Servable
from .state import keep
from .strategy import Strategy

_standard_init: Callable[..., None] = standard.BaseServer.__init__


class BaseServer(Servable, Hooks):
    """A server without a socket: a subclass has a `fileno` and a `get_request` of its own.

    Args:
        server_address: where the server listens.
        RequestHandlerClass: called with (request, client_address, server) for each connection.
        strategy: how to run the handlers; what `make_strategy` returns if none is given.

    Raises:
        OSError: the platform cannot run `strategy`.
        TypeError: `strategy` is no strategy.
        ValueError: `strategy` serves another server, or cannot handle the datagrams of this one.

    Attributes:
        server_address: where the server listens.
        RequestHandlerClass: called with (request, client_address, server) for each connection.
        socket: the listener.
        timeout: how long `handle_request` waits for a connection, in seconds; None: for ever.
        grace_period: how long `server_close` waits for what is in flight before it cuts it, in
            seconds; None: for ever, as the standard library does.
        in_flight: the connections that this process handles. See `InFlight`.
        make_strategy: called without arguments for the strategy of a server that is given none.
    """

    timeout: float | None = None

    def __init__(
        self,
        server_address: Any,
        RequestHandlerClass: Callable[[Any, Any, Any], Any],  # noqa: N803 - its name is public
        *,
        strategy: Strategy | None = None,
    ) -> None:
        if not isinstance(self, BaseServer):
            # Where ours is in the place of the standard library's, its TCPServer finds this one.
            _standard_init(self, server_address, RequestHandlerClass)
            return
        self.server_address = server_address
        self.RequestHandlerClass = RequestHandlerClass
        if strategy is None:
            _ = self._serverstrategy  # made here, where its error belongs
        else:
            keep(self, strategy)
            self.strategy = strategy

    def _serverstrategy_given(self, strategy: Strategy) -> None:
        # A mix-in of the standard library's would bypass it.
        if isinstance(self, tuple(standard.MIX_INS)):
            from .adopted_class import mixes_in, true_class  # most servers need neither

            if mixes_in(type(self)):
                self.__class__ = true_class(type(self), strategy)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.server_close()
