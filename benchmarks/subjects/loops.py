"""Servers of event loops: asyncio, uvloop, tornado."""

from __future__ import annotations

import asyncio
import importlib
import socket
from typing import Any

from .duty import ADDRESS, BACKLOG, LINE, SLEEP, Duty, tell


async def _work(duty: Duty) -> None:
    if duty.name == "sleep":
        await asyncio.sleep(SLEEP)
    else:
        duty.work()


async def _serve_streams(duty: Duty) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if duty.name == "keep":
            while line := await reader.readline():
                writer.write(line)
        else:
            line = await reader.readline()
            if duty.name != "echo":
                await _work(duty)
            writer.write(line)
        writer.close()

    server = await asyncio.start_server(answer, *ADDRESS, backlog=BACKLOG)
    tell(server.sockets[0].getsockname())
    await server.serve_forever()


class _Protocol(asyncio.Protocol):
    def __init__(self, duty: Duty) -> None:
        self._duty = duty

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        if self._duty.name == "keep":
            self._transport.write(data)
        elif self._duty.name == "sleep":
            asyncio.get_running_loop().call_later(SLEEP, self._answer, data)
        else:
            if self._duty.name != "echo":
                self._duty.work()
            self._answer(data)

    def _answer(self, data: bytes) -> None:
        self._transport.write(data)
        self._transport.close()


async def _serve_protocol(duty: Duty) -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: _Protocol(duty), *ADDRESS, backlog=BACKLOG)
    tell(server.sockets[0].getsockname())
    await server.serve_forever()


async def _serve_tornado(duty: Duty) -> None:
    module: Any = importlib.import_module("tornado.tcpserver")

    class Server(module.TCPServer):  # type: ignore[misc]
        async def handle_stream(self, stream: Any, _: Any) -> None:
            closed = importlib.import_module("tornado.iostream").StreamClosedError
            try:
                while True:
                    line = await stream.read_until(b"\n", LINE)
                    if duty.name not in ("echo", "keep"):
                        await _work(duty)
                    await stream.write(line)
                    if duty.name != "keep":
                        break
            except closed:
                pass
            stream.close()

    listener = socket.create_server(ADDRESS, backlog=BACKLOG)
    listener.setblocking(False)
    Server().add_socket(listener)
    tell(listener.getsockname())
    await asyncio.Event().wait()


def serve(name: str, duty: Duty) -> None:
    """Serve.

    Args:
        name: "asyncio", "asyncio Protocol", "uvloop", "uvloop Protocol" or "tornado".
        duty: what is done with each connection.
    """
    kind, _, style = name.partition(" ")
    if kind == "tornado":
        main = _serve_tornado(duty)
    else:
        main = _serve_protocol(duty) if style else _serve_streams(duty)
    runner: Any = importlib.import_module("uvloop") if kind == "uvloop" else asyncio
    runner.run(main)
