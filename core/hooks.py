"""What a subclass of a server may override, with what happens if it does not."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from .relay import for_any_thread

_logger = logging.getLogger("serverstrategy")


class Hooks:
    """The methods to override, under the names and with the duties that `socketserver` gives them.

    Attributes:
        RequestHandlerClass: called with (request, client_address, server) for each connection.
    """

    RequestHandlerClass: Callable[[Any, Any, Any], Any]

    def server_bind(self) -> None:
        """Bind the listener. Called by the constructor."""

    def server_activate(self) -> None:
        """Have the listener listen. Called by the constructor."""

    def service_actions(self) -> None:
        """Called in the accept loop, after each accept and at least every `poll_interval`.

        Does nothing; as long as nobody overrides it, the loop does not tick. Where worker
        processes accept, each of them calls it.
        """

    def handle_timeout(self) -> None:
        """Called by `handle_request` when no connection came in time. Does nothing."""

    def get_request(self) -> tuple[Any, Any]:
        """Accept: return the connection and its peer's address.

        Raises:
            OSError: there is none after all; that is not an error of the server.
        """
        raise NotImplementedError

    @for_any_thread
    def verify_request(self, request: Any, client_address: Any) -> bool:
        """Whether to handle this connection; if not, it is closed. Says yes."""
        return True

    def finish_request(self, request: Any, client_address: Any) -> None:
        """Run the handler: build an object of `RequestHandlerClass`, which does the rest."""
        self.RequestHandlerClass(request, client_address, self)

    def shutdown_request(self, request: Any) -> None:
        """End a connection: tell the peer, and close it."""
        self.close_request(request)

    def close_request(self, request: Any) -> None:
        """Close this process's copy of a connection."""

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Report the exception that is being handled to the logger `serverstrategy`."""
        _logger.exception(  # noqa: LOG004 - it is called inside an except clause
            "error while handling the connection from %s", client_address
        )
