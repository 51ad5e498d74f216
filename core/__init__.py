"""socketserver with the concurrency taken out of the class and put into an object.

A `TCPServer` accepts connections and hands each one to its strategy: an object that is chosen when
the server is built, and that decides who accepts, who handles, how many at a time, and what is
waited for at the end. The strategies in the box are in `serverstrategy.strategies`.
"""

from typing import TYPE_CHECKING

from .late_names import late_names as _late_names
from .standard import MODULE as _STANDARD  # now: programs put ours in the place of its classes

if TYPE_CHECKING:
    from socketserver import BaseRequestHandler, DatagramRequestHandler

    from .adoption import adopt, with_strategy
    from .base_server import BaseServer
    from .connection import Connection
    from .drain_report import ConnectionFate, DrainReport
    from .in_flight import InFlight
    from .server import TCPServer, UDPServer, UnixDatagramServer, UnixStreamServer
    from .server_status import status
    from .stop_signal import StopSignal
    from .strategy import Server, Strategy
    from .stream_handler import StreamRequestHandler
else:
    # Each is imported when it is asked for: a program that only reads its arguments, or defines a
    # strategy, does not wait for what it may never use.
    _MODULES = {
        "BaseRequestHandler": _STANDARD,
        "BaseServer": ".base_server",
        "Connection": ".connection",
        "ConnectionFate": ".drain_report",
        "DatagramRequestHandler": _STANDARD,
        "DrainReport": ".drain_report",
        "InFlight": ".in_flight",
        "Server": ".strategy",
        "StopSignal": ".stop_signal",
        "Strategy": ".strategy",
        "StreamRequestHandler": ".stream_handler",
        "TCPServer": ".server",
        "UDPServer": ".server",
        "UnixDatagramServer": ".server",
        "UnixStreamServer": ".server",
        "adopt": ".adoption",
        "status": ".server_status",
        "with_strategy": ".adoption",
    }

    __getattr__, __dir__ = _late_names(globals(), _MODULES)


__all__ = [
    "BaseRequestHandler",
    "BaseServer",
    "Connection",
    "ConnectionFate",
    "DatagramRequestHandler",
    "DrainReport",
    "InFlight",
    "Server",
    "StopSignal",
    "Strategy",
    "StreamRequestHandler",
    "TCPServer",
    "UDPServer",
    "UnixDatagramServer",
    "UnixStreamServer",
    "adopt",
    "status",
    "with_strategy",
]
