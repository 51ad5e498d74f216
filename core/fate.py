"""The fate of a connection's errors: each costs that connection, and nothing else."""

from __future__ import annotations

import logging
from typing import Any

_logger = logging.getLogger("serverstrategy")


def fail(server: Any, error: BaseException, request: Any, client_address: Any) -> None:
    """Deal with what `process_request_thread` raised."""
    if not isinstance(error, Exception) and is_the_callers(server):
        raise error
    report(server, request, client_address)
    if getattr(request, "fileno", lambda: -1)() != -1:
        end(server, request)


def report(server: Any, request: Any, client_address: Any) -> None:
    """Call `handle_error`, which a subclass may have got wrong."""
    connection = server._serverstrategy.in_flight.find(request)
    if connection is not None:
        connection.has_failed = True
    try:
        server.handle_error(request, client_address)
    except BaseException as error:  # noqa: BLE001 - log decides
        log(server, error, "handle_error failed for the connection from %s", client_address)


def end(server: Any, request: Any) -> None:
    """Call `shutdown_request`, which a subclass may have got wrong."""
    try:
        server.shutdown_request(request)
    except BaseException as error:  # noqa: BLE001 - log decides
        try:
            server.close_request(request)
        except Exception:
            _logger.exception("close_request failed")
        log(server, error, "shutdown_request failed")


def end_unless_begun(server: Any, request: Any) -> None:
    """End a connection that no handler has got, and strike it off."""
    in_flight = server._serverstrategy.in_flight
    if request in in_flight and not in_flight.is_begun(request):
        try:
            end(server, request)
        finally:
            in_flight.remove(request)


def log(server: Any, error: BaseException, message: str, *arguments: object) -> None:
    """Log what costs one connection; let through what is meant for the caller."""
    if not isinstance(error, Exception) and is_the_callers(server):
        raise error
    _logger.error(message, *arguments, exc_info=error)


def is_the_callers(server: Any) -> bool:
    """Whether this is the thread of the application's own call, which wants its Ctrl-C."""
    state = server._serverstrategy
    return not state.is_child and state.serving.is_caller()
