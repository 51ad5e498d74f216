"""The handlers that run on servers with the interface of `socketserver`, ours and others."""

from __future__ import annotations

from typing import Any

from .duty import BODY, LINE, Duty


class Line:
    """Answers one line."""

    rfile: Any
    wfile: Any

    def handle(self) -> None:
        """Answer."""
        self.wfile.write(self.rfile.readline(LINE))


class Lines(Line):
    """Answers line after line."""

    def handle(self) -> None:
        """Answer until the client sends no more."""
        for line in self.rfile:
            self.wfile.write(line)


class Working(Line):
    """Answers one line, and works before."""

    duty: Duty

    def handle(self) -> None:
        """Answer."""
        line = self.rfile.readline(LINE)
        self.duty.work()
        self.wfile.write(line)


class Hello:
    """Answers an HTTP request: beside `BaseHTTPRequestHandler`."""

    def do_GET(self: Any) -> None:  # noqa: N802 - http.server names it
        """Answer."""
        self.send_response(200)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Length", str(len(BODY)))
        self.end_headers()
        self.wfile.write(BODY)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


def handler(base: type[Any], duty: Duty) -> type[Any]:
    """A class of handlers.

    Args:
        base: a `StreamRequestHandler`, or a `BaseRequestHandler`, which then works on its socket.
        duty: what they do. For "hello" the base is not used, but that of `http.server`.
    """
    if duty.name == "hello":
        from http.server import BaseHTTPRequestHandler

        return type("Handler", (Hello, BaseHTTPRequestHandler), {})
    if not hasattr(base, "rbufsize"):
        answer = duty.answer()
        return type("Handler", (base,), {"handle": lambda self: answer(self.request)})
    does: type[Line] = {"echo": Line, "keep": Lines}.get(duty.name, Working)
    return type("Handler", (does, base), {"duty": duty})
