"""Clients in a process of their own, each of which connects, asks, and connects again.

    python swap_clients.py HOST PORT CLIENTS

It writes a line for each answer, and ends with its standard input, or at the first connection that
was refused, reset, or answered otherwise than once and rightly: then that is its last line.
"""

from __future__ import annotations

import os
import select
import socket
import sys
import threading

PATIENCE = 30.0  # seconds

is_over = threading.Event()


def ask(address: tuple[str, int], question: str) -> str | None:
    """What was wrong; None if nothing was."""
    answer = b""
    try:
        with socket.create_connection(address, PATIENCE) as connection:
            connection.sendall(f"echo {question}\n".encode())
            connection.shutdown(socket.SHUT_WR)
            while chunk := connection.recv(100):
                answer += chunk
    except OSError as error:
        return repr(error)
    return None if answer == f"{question}\n".encode() else f"asked {question}, got {answer!r}"


def run(address: tuple[str, int], client: int) -> None:
    number = 0
    while not is_over.is_set():
        number += 1
        error = ask(address, f"{client}-{number}")
        os.write(1, f"{error or 'answered'}\n".encode())
        if error:
            is_over.set()


def main() -> None:
    host, port, clients = sys.argv[1:]
    address = host, int(port)
    threads = [threading.Thread(target=run, args=(address, each)) for each in range(int(clients))]
    for thread in threads:
        thread.start()
    while not is_over.is_set() and not select.select([0], [], [], 0.1)[0]:
        pass
    is_over.set()
    for thread in threads:
        thread.join()


if __name__ == "__main__":
    main()
