"""A limit for each client, around any strategy."""

from typing import Any

from serverstrategy import Server, StopSignal, Strategy


class PerClientLimit(Strategy):
    """Closes at once what a client opens beyond `limit` connections. `inner` does the rest."""

    def __init__(self, limit: int, inner: Strategy) -> None:
        self.limit = limit
        self.inner = inner
        self.multithread = inner.multithread
        self.multiprocess = inner.multiprocess
        self.datagrams = inner.datagrams
        self.unsupported = inner.unsupported

    def serve(self, server: Server, stop: StopSignal) -> None:
        self.inner.serve(server, stop)

    def ready(self, server: Server) -> bool:
        return self.inner.ready(server)

    def process_request(self, server: Server, request: Any, client_address: Any) -> None:
        host = client_address[0]
        if sum(each.client_address[0] == host for each in server.in_flight) > self.limit:
            server.refuse_request(request, client_address)
        else:
            self.inner.process_request(server, request, client_address)

    def drain(self, server: Server, timeout: float | None) -> bool:
        return self.inner.drain(server, timeout)
