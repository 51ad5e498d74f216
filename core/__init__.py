"""socketserver with the concurrency taken out of the class and put into an object.

A `TCPServer` accepts connections and hands each one to its strategy: an object that is chosen when
the server is built, and that decides who accepts, who handles, how many at a time, and what is
waited for at the end. The strategies in the box are in `serverstrategy.strategies`.
"""

from socketserver import BaseRequestHandler, DatagramRequestHandler, StreamRequestHandler

from .adoption import adopt, with_strategy
from .base_server import BaseServer
from .connection import Connection
from .in_flight import InFlight
from .server import TCPServer, UDPServer, UnixDatagramServer, UnixStreamServer
from .stop_signal import StopSignal
from .strategy import Server, Strategy

__all__ = [
    "BaseRequestHandler",
    "BaseServer",
    "Connection",
    "DatagramRequestHandler",
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
    "with_strategy",
]
