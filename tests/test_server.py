"""The interface of `TCPServer`, with the strategies that stay in this process."""

from __future__ import annotations

import errno
import gc
import inspect
import select
import socket
import socketserver
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import serverstrategy
from serverstrategy import BaseRequestHandler, Strategy, StreamRequestHandler, TCPServer
from serverstrategy.strategies import Prefork, Synchronous, Threaded, ThreadPool

PATIENCE = 20.0
ANY_PORT = ("127.0.0.1", 0)

IN_PROCESS: list[Callable[[], Strategy]] = [Synchronous, Threaded, lambda: ThreadPool(2)]
NAMES = ["Synchronous", "Threaded", "ThreadPool"]


class Echo(StreamRequestHandler):
    def handle(self) -> None:
        for line in self.rfile:
            self.wfile.write(line)


class Named(BaseRequestHandler):
    """Answers with the name of the thread that runs it."""

    def handle(self) -> None:
        self.request.sendall(threading.current_thread().name.encode())


class Meeting(BaseRequestHandler):
    """Answers once as many handlers as the barrier wants run at the same time."""

    barrier: threading.Barrier

    def handle(self) -> None:
        self.barrier.wait(PATIENCE)
        self.request.sendall(b"met")


@contextmanager
def serving(server: TCPServer) -> Iterator[threading.Thread]:
    """Has `server` serve in a thread of its own until the block ends."""
    thread = threading.Thread(target=server.serve_forever, name="acceptor")
    thread.start()
    try:
        assert server.wait_until_serving(PATIENCE)
        yield thread
    finally:
        server.shutdown()
        thread.join(PATIENCE)
        assert not thread.is_alive()


def connect(server: TCPServer) -> socket.socket:
    client = socket.socket(server.address_family)
    client.settimeout(PATIENCE)
    try:
        client.connect(server.server_address)
    except BaseException:
        client.close()
        raise
    return client


def read_all(client: socket.socket) -> bytes:
    with client.makefile("rb") as reader:
        return reader.read()


def echo(server: TCPServer, text: bytes = b"hello\n") -> bytes:
    with connect(server) as client:
        client.sendall(text)
        client.shutdown(socket.SHUT_WR)
        return read_all(client)


def ask_name(server: TCPServer) -> bytes:
    with connect(server) as client:
        return read_all(client)


def listens(server: TCPServer) -> bool:
    return bool(server.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN))


def has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


needs_ipv6 = pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6 loopback")


# Serving


@pytest.mark.parametrize("strategy", IN_PROCESS, ids=NAMES)
def test_serve_forever_answers(strategy: Callable[[], Strategy]) -> None:
    with TCPServer(ANY_PORT, Echo, strategy=strategy()) as server, serving(server):
        assert [echo(server, b"%d\n" % number) for number in range(5)] == [
            b"%d\n" % number for number in range(5)
        ]


@pytest.mark.parametrize("strategy", IN_PROCESS, ids=NAMES)
def test_handle_request_answers_one(strategy: Callable[[], Strategy]) -> None:
    with (
        TCPServer(ANY_PORT, Named, strategy=strategy()) as server,
        connect(server) as first,
        connect(server) as second,
    ):
        server.handle_request()
        assert read_all(first)
        second.setblocking(False)
        with pytest.raises(BlockingIOError):
            second.recv(1)
        server.handle_request()
        second.settimeout(PATIENCE)
        assert read_all(second)


@pytest.mark.parametrize("strategy", [Threaded, lambda: ThreadPool(2)], ids=NAMES[1:])
def test_threads_handle_connections_at_the_same_time(strategy: Callable[[], Strategy]) -> None:
    class Two(Meeting):
        barrier = threading.Barrier(2)

    with (
        TCPServer(ANY_PORT, Two, strategy=strategy()) as server,
        serving(server),
        connect(server) as first,
        connect(server) as second,
    ):
        assert read_all(first) == read_all(second) == b"met"


def test_synchronous_handles_in_the_thread_that_serves() -> None:
    with TCPServer(ANY_PORT, Named, strategy=Synchronous()) as server, serving(server):
        assert ask_name(server) == b"acceptor"


@pytest.mark.parametrize("strategy", [Threaded, lambda: ThreadPool(2)], ids=NAMES[1:])
def test_threads_handle_in_another_thread(strategy: Callable[[], Strategy]) -> None:
    with TCPServer(ANY_PORT, Named, strategy=strategy()) as server, serving(server):
        assert ask_name(server) not in (b"acceptor", b"MainThread", b"")


@pytest.mark.parametrize("strategy", IN_PROCESS, ids=NAMES)
def test_a_server_can_serve_again_after_shutdown(strategy: Callable[[], Strategy]) -> None:
    with TCPServer(ANY_PORT, Echo, strategy=strategy()) as server:
        for _ in range(3):
            with serving(server):
                assert echo(server) == b"hello\n"


def test_a_stop_does_not_wait_for_the_poll_interval() -> None:
    with TCPServer(ANY_PORT, Echo) as server:
        thread = threading.Thread(target=server.serve_forever, args=(3600,))
        thread.start()
        assert server.wait_until_serving(PATIENCE)
        server.shutdown()
        thread.join(PATIENCE)
        assert not thread.is_alive()


def test_wait_until_serving_tells_whether_it_serves() -> None:
    with TCPServer(ANY_PORT, Echo) as server:
        assert not server.wait_until_serving(0)
        with serving(server):
            assert server.wait_until_serving(0)
        assert not server.wait_until_serving(0)


def test_the_handler_gets_a_blocking_socket_its_peer_and_the_server() -> None:
    seen: list[Any] = []

    def handler(request: socket.socket, client_address: Any, server: Any) -> None:
        seen.extend((request.gettimeout(), client_address, server))

    with TCPServer(ANY_PORT, handler) as server, connect(server) as client:
        server.handle_request()
        assert seen == [None, client.getsockname(), server]


# The constructor


def test_the_parameters_are_those_of_the_standard_library_and_strategy() -> None:
    ours = list(inspect.signature(TCPServer).parameters.values())
    theirs = list(inspect.signature(socketserver.TCPServer).parameters.values())
    assert [(each.name, each.default) for each in ours[:-1]] == [
        (each.name, each.default) for each in theirs
    ]
    assert ours[-1].name == "strategy"
    assert ours[-1].kind is inspect.Parameter.KEYWORD_ONLY
    assert ours[-1].default is None


def test_the_names_of_the_parameters_can_be_used_as_keywords() -> None:
    with TCPServer(
        server_address=ANY_PORT,
        RequestHandlerClass=Echo,
        bind_and_activate=False,
        strategy=Threaded(),
    ) as server:
        assert not listens(server)


def test_the_strategy_cannot_be_given_by_position() -> None:
    with pytest.raises(TypeError, match="positional"):
        TCPServer(ANY_PORT, Echo, True, Threaded())  # type: ignore[misc]


@pytest.mark.parametrize("keywords", [{}, {"strategy": None}], ids=["left out", "None"])
def test_without_a_strategy_it_handles_in_the_thread_that_calls(keywords: dict[str, None]) -> None:
    with TCPServer(ANY_PORT, Named, **keywords) as server, connect(server) as client:
        assert isinstance(server.strategy, Strategy)
        server.handle_request()
        assert read_all(client) == threading.current_thread().name.encode()


def test_the_server_is_not_one_of_the_standard_library() -> None:
    assert not issubclass(TCPServer, socketserver.BaseServer)


def test_the_handlers_are_those_of_the_standard_library_but_one() -> None:
    assert serverstrategy.BaseRequestHandler is socketserver.BaseRequestHandler
    assert serverstrategy.DatagramRequestHandler is socketserver.DatagramRequestHandler
    assert issubclass(serverstrategy.StreamRequestHandler, socketserver.StreamRequestHandler)


def test_bind_and_activate_false_leaves_both_to_the_caller() -> None:
    with TCPServer(ANY_PORT, Echo, bind_and_activate=False) as server:
        assert server.server_address == ANY_PORT
        assert server.socket.getsockname()[1] == 0
        assert not listens(server)

        server.server_bind()
        assert server.server_address == server.socket.getsockname()
        assert server.server_address[1] != 0
        assert not listens(server)

        server.server_activate()
        assert listens(server)
        with serving(server):
            assert echo(server) == b"hello\n"


def test_a_server_that_was_never_bound_can_be_closed() -> None:
    server = TCPServer(ANY_PORT, Echo, False)
    server.server_close()
    assert server.fileno() == -1


# Attributes


def test_the_defaults() -> None:
    assert TCPServer.timeout is None
    assert TCPServer.address_family == socket.AF_INET
    assert TCPServer.socket_type == socket.SOCK_STREAM
    assert TCPServer.request_queue_size == socket.SOMAXCONN
    assert TCPServer.allow_reuse_port is False
    assert TCPServer.grace_period == 30.0


@pytest.mark.skipif(sys.platform in ("win32", "cygwin"), reason="safe on POSIX only")
def test_an_address_is_reused_on_posix() -> None:
    assert TCPServer.allow_reuse_address is True


def test_server_address_tells_the_port_that_the_system_chose() -> None:
    with TCPServer(ANY_PORT, Echo) as server:
        assert server.server_address == server.socket.getsockname()
        assert server.server_address[0] == "127.0.0.1"
        assert server.server_address[1] > 0


def reuse_options(server: TCPServer) -> tuple[bool, bool]:
    """Whether SO_REUSEADDR and SO_REUSEPORT are set."""
    options = [socket.SO_REUSEADDR, getattr(socket, "SO_REUSEPORT", None)]
    address, port = (
        option is not None and bool(server.socket.getsockopt(socket.SOL_SOCKET, option))
        for option in options
    )
    return address, port


needs_reuse_port = pytest.mark.skipif(
    not hasattr(socket, "SO_REUSEPORT"), reason="this platform has no SO_REUSEPORT"
)


@needs_reuse_port
@pytest.mark.parametrize("address", [True, False])
@pytest.mark.parametrize("port", [True, False])
def test_the_options_for_reuse_on_a_subclass(address: bool, port: bool) -> None:
    class Subclass(TCPServer):
        allow_reuse_address = address
        allow_reuse_port = port

    with Subclass(ANY_PORT, Echo) as server:
        assert reuse_options(server) == (address, port)


@needs_reuse_port
@pytest.mark.parametrize("address", [True, False])
@pytest.mark.parametrize("port", [True, False])
def test_the_options_for_reuse_on_the_instance(address: bool, port: bool) -> None:
    with TCPServer(ANY_PORT, Echo, bind_and_activate=False) as server:
        server.allow_reuse_address = address
        server.allow_reuse_port = port
        server.server_bind()
        assert reuse_options(server) == (address, port)


@needs_reuse_port
def test_two_servers_share_a_port_with_allow_reuse_port() -> None:
    class Sharing(TCPServer):
        allow_reuse_port = True

    with Sharing(ANY_PORT, Echo) as first, Sharing(first.server_address, Echo) as second:
        assert first.server_address == second.server_address


class Listener(socket.socket):
    """A socket that remembers the backlog it was given."""

    backlog: int | None = None

    def listen(self, backlog: int = -1, /) -> None:
        self.backlog = backlog
        super().listen(backlog)


class Listening(TCPServer):
    """A server whose listener is a `Listener`."""

    def server_bind(self) -> None:
        self.socket.close()
        self.socket = Listener(self.address_family, self.socket_type)
        super().server_bind()


def test_the_backlog_is_as_long_as_the_system_allows() -> None:
    with Listening(ANY_PORT, Echo) as server:
        assert server.socket.backlog == socket.SOMAXCONN  # type: ignore[attr-defined]


def test_request_queue_size_on_a_subclass() -> None:
    class Short(Listening):
        request_queue_size = 7

    with Short(ANY_PORT, Echo) as server:
        assert server.socket.backlog == 7  # type: ignore[attr-defined]


def test_request_queue_size_on_the_instance() -> None:
    with Listening(ANY_PORT, Echo, bind_and_activate=False) as server:
        server.request_queue_size = 3
        server.server_bind()
        server.server_activate()
        assert server.socket.backlog == 3  # type: ignore[attr-defined]


def test_socket_type_on_a_subclass() -> None:
    class Datagrams(TCPServer):
        socket_type = socket.SOCK_DGRAM

    with Datagrams(ANY_PORT, Echo, bind_and_activate=False) as server:
        assert server.socket.type == socket.SOCK_DGRAM


def test_the_handler_class_can_be_replaced_on_the_instance() -> None:
    with TCPServer(ANY_PORT, Echo) as server, connect(server) as client:
        assert server.RequestHandlerClass is Echo
        server.RequestHandlerClass = Named
        server.handle_request()
        assert read_all(client) == threading.current_thread().name.encode()


def test_the_listener_can_be_replaced_before_serving() -> None:
    with TCPServer(ANY_PORT, Echo, bind_and_activate=False) as server:
        server.socket.close()
        server.socket = socket.create_server(ANY_PORT)
        server.server_address = server.socket.getsockname()
        with serving(server):
            assert echo(server) == b"hello\n"


def test_the_listener_can_be_replaced_between_two_calls() -> None:
    with TCPServer(ANY_PORT, Named) as server:
        with connect(server) as client:
            server.handle_request()
            assert read_all(client)
        server.socket.close()
        server.socket = socket.create_server(ANY_PORT)
        server.server_address = server.socket.getsockname()
        with connect(server) as client:
            server.handle_request()
            assert read_all(client)


# The address family


@needs_ipv6
def test_an_ipv6_literal_makes_an_ipv6_server() -> None:
    with TCPServer(("::1", 0), Echo) as server, serving(server):
        assert server.socket.family == socket.AF_INET6
        assert server.server_address[0] == "::1"
        assert echo(server) == b"hello\n"
    assert TCPServer.address_family == socket.AF_INET


@needs_ipv6
@pytest.mark.parametrize(
    "address",
    [("::1", 0), ("::", 80), ("::1", 0, 0, 0), ("fe80::1%lo", 80), ("::ffff:127.0.0.1", 80)],
    ids=str,
)
def test_an_ipv6_literal_is_recognized(address: Any) -> None:
    with TCPServer(address, Echo, bind_and_activate=False) as server:
        assert server.address_family == server.socket.family == socket.AF_INET6


@pytest.mark.parametrize(
    "address",
    [
        ("127.0.0.1", 0),
        ("", 80),
        ("localhost", 80),
        ("no:literal", 80),
        ("", 0),
        "::1",
        (b"::1", 0),
    ],
    ids=str,
)
def test_anything_else_is_no_ipv6_literal(address: Any) -> None:
    with TCPServer(address, Echo, bind_and_activate=False) as server:
        assert server.address_family == server.socket.family == socket.AF_INET


class InetServer(TCPServer):
    address_family = socket.AF_INET


class InetMixin:
    address_family = socket.AF_INET


class MixedServer(InetMixin, TCPServer):
    pass


class GrandchildServer(InetServer):
    pass


class InetAtConstruction(TCPServer):
    def __init__(self, *arguments: Any, **keywords: Any) -> None:
        self.address_family = socket.AF_INET
        super().__init__(*arguments, **keywords)


@pytest.mark.parametrize(
    "server_class", [InetServer, MixedServer, GrandchildServer, InetAtConstruction]
)
def test_a_family_that_was_set_stays(server_class: type[TCPServer]) -> None:
    with server_class(("::1", 0), Echo, bind_and_activate=False) as server:
        assert server.address_family == server.socket.family == socket.AF_INET


def test_a_subclass_that_sets_no_family_gets_the_one_of_the_literal() -> None:
    class Subclass(TCPServer):
        request_queue_size = 5

    with Subclass(("::1", 0), Echo, bind_and_activate=False) as server:
        assert server.socket.family == socket.AF_INET6


@needs_ipv6
def test_a_subclass_can_choose_ipv6() -> None:
    class Inet6Server(TCPServer):
        address_family = socket.AF_INET6

    with Inet6Server(("localhost", 0), Echo, bind_and_activate=False) as server:
        assert server.socket.family == socket.AF_INET6


@pytest.mark.skipif(not hasattr(socket, "AF_UNIX"), reason="this platform has no Unix sockets")
def test_a_subclass_can_choose_unix_sockets(tmp_path: Path) -> None:
    class UnixServer(TCPServer):
        address_family = socket.AF_UNIX

    path = str(tmp_path / "socket")
    with UnixServer(path, Echo, strategy=Threaded()) as server, serving(server):
        assert server.server_address == path
        assert echo(server) == b"hello\n"


# Closing


class Recorded(TCPServer):
    """Remembers the calls that end it."""

    def __init__(self, *arguments: Any) -> None:
        self.calls: list[str] = []
        super().__init__(*arguments)

    def server_close(self) -> None:
        self.calls.append("server_close")
        super().server_close()

    def shutdown(self) -> None:
        self.calls.append("shutdown")
        super().shutdown()


def test_leaving_with_only_closes() -> None:
    with Recorded(ANY_PORT, Echo) as server:
        assert isinstance(server, Recorded)
        assert server.calls == []
    assert server.calls == ["server_close"]


def test_leaving_with_by_an_error_closes_and_lets_it_through() -> None:
    with pytest.raises(LookupError, match="mine"), Recorded(ANY_PORT, Echo) as server:
        raise LookupError("mine")
    assert server.calls == ["server_close"]
    assert server.fileno() == -1


def test_fileno_is_that_of_the_listener() -> None:
    with TCPServer(ANY_PORT, Named) as server:
        assert server.fileno() == server.socket.fileno() >= 0
        with connect(server):
            assert select.select([server], [], [], PATIENCE)[0] == [server]
            server.handle_request()
    assert server.fileno() == -1


def test_a_closed_server_refuses_connections() -> None:
    server = TCPServer(ANY_PORT, Echo)
    server.server_close()
    with pytest.raises(ConnectionRefusedError):
        connect(server)


def test_closing_twice_is_no_error() -> None:
    server = TCPServer(ANY_PORT, Echo)
    server.server_close()
    server.server_close()


def test_a_closed_server_cannot_serve() -> None:
    server = TCPServer(ANY_PORT, Echo)
    server.server_close()
    with pytest.raises(ValueError, match="closed"):
        server.serve_forever()
    with pytest.raises(ValueError, match="closed"):
        server.handle_request()


@pytest.mark.parametrize("strategy", IN_PROCESS, ids=NAMES)
def test_a_closed_listener_counts_as_a_closed_server(strategy: Callable[[], Strategy]) -> None:
    with TCPServer(ANY_PORT, Echo, strategy=strategy()) as server:
        server.socket.close()
        with pytest.raises(ValueError, match="closed"):
            server.serve_forever()


@pytest.mark.parametrize("strategy", IN_PROCESS, ids=NAMES)
def test_closing_while_it_serves_ends_serving(strategy: Callable[[], Strategy]) -> None:
    server = TCPServer(ANY_PORT, Echo, strategy=strategy())
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    assert server.wait_until_serving(PATIENCE)
    server.server_close()
    thread.join(PATIENCE)
    assert not thread.is_alive()


# A constructor that fails


class Kept(TCPServer):
    """Keeps what the constructor built, to see what became of it."""

    built: TCPServer | None = None

    def server_bind(self) -> None:
        Kept.built = self
        super().server_bind()


@pytest.fixture(autouse=True)
def _forget() -> Iterator[None]:
    yield
    Kept.built = None


def test_an_address_in_use_closes_the_socket_and_frees_the_strategy() -> None:
    strategy = Threaded()
    with TCPServer(ANY_PORT, Echo) as other:
        with pytest.raises(OSError) as raised:  # noqa: PT011 - its number is looked at
            Kept(other.server_address, Echo, strategy=strategy)
        assert raised.value.errno == errno.EADDRINUSE
    assert Kept.built is not None
    assert Kept.built.fileno() == -1
    with TCPServer(ANY_PORT, Echo, strategy=strategy):
        pass


@pytest.mark.parametrize("error", [LookupError, KeyboardInterrupt])
def test_a_failing_server_activate_closes_the_socket(error: type[BaseException]) -> None:
    class Failing(Kept):
        def server_activate(self) -> None:
            raise error

    with pytest.raises(error):
        Failing(ANY_PORT, Echo)
    assert Kept.built is not None
    assert Kept.built.fileno() == -1


class Impossible(TCPServer):
    address_family = 12345


def test_a_socket_that_cannot_be_made_frees_the_strategy() -> None:
    strategy = Threaded()
    with pytest.raises(OSError) as raised:  # noqa: PT011 - it keeps the half-built server
        Impossible(ANY_PORT, Echo, strategy=strategy)
    with TCPServer(ANY_PORT, Echo, strategy=strategy) as server:
        assert server.strategy is strategy
    assert raised.value.errno is not None


# The strategy


@pytest.mark.parametrize("strategy", [Synchronous, Threaded, ThreadPool, Strategy])
def test_a_class_is_no_strategy(strategy: type[Strategy]) -> None:
    with pytest.raises(TypeError, match=rf"write {strategy.__name__}\(\), not {strategy.__name__}"):
        TCPServer(ANY_PORT, Echo, strategy=strategy)  # type: ignore[arg-type]


@pytest.mark.parametrize("strategy", ["Threaded()", 4, 0, "", object(), Echo, int, [Threaded()]])
def test_something_else_is_no_strategy(strategy: Any) -> None:
    with pytest.raises(TypeError, match="subclass of Strategy"):
        TCPServer(ANY_PORT, Echo, strategy=strategy)


def test_a_wrong_strategy_opens_no_socket(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[object] = []

    class Counted(socket.socket):
        def __init__(self, *arguments: Any, **keywords: Any) -> None:
            made.append(self)
            super().__init__(*arguments, **keywords)

    monkeypatch.setattr(socket, "socket", Counted)
    with pytest.raises(TypeError):
        TCPServer(ANY_PORT, Echo, strategy=Threaded)  # type: ignore[arg-type]
    assert made == []
    TCPServer(ANY_PORT, Echo).server_close()
    assert made


def test_a_strategy_serves_one_server_at_a_time() -> None:
    strategy = Threaded(limit=3)
    with (
        TCPServer(ANY_PORT, Echo, strategy=strategy),
        pytest.raises(ValueError, match=r"Threaded\(3\) serves .* already"),
    ):
        TCPServer(ANY_PORT, Echo, strategy=strategy)


@pytest.mark.parametrize("strategy", IN_PROCESS, ids=NAMES)
def test_a_strategy_can_be_used_again_after_server_close(strategy: Callable[[], Strategy]) -> None:
    one = strategy()
    for _ in range(3):
        with TCPServer(ANY_PORT, Echo, strategy=one) as server, serving(server):
            assert echo(server) == b"hello\n"


def test_a_refused_strategy_still_serves_the_first_server() -> None:
    strategy = Threaded()
    with TCPServer(ANY_PORT, Echo, strategy=strategy) as server, serving(server):
        with pytest.raises(ValueError, match="already"):
            TCPServer(ANY_PORT, Echo, strategy=strategy)
        assert echo(server) == b"hello\n"
        with pytest.raises(ValueError, match="already"):
            TCPServer(ANY_PORT, Echo, strategy=strategy)


def test_a_nested_strategy_serves_one_server_at_a_time() -> None:
    inner = Threaded()
    nest = Prefork(1, inner)
    with TCPServer(ANY_PORT, Echo, strategy=nest), pytest.raises(ValueError, match="already"):
        TCPServer(ANY_PORT, Echo, strategy=inner)
    with TCPServer(ANY_PORT, Echo, strategy=inner), pytest.raises(ValueError, match="already"):
        TCPServer(ANY_PORT, Echo, strategy=Prefork(1, inner))


def test_a_server_that_nobody_closed_does_not_keep_its_strategy() -> None:
    strategy = Threaded()
    server = TCPServer(ANY_PORT, Echo, strategy=strategy)
    server.socket.close()
    del server
    gc.collect()
    TCPServer(ANY_PORT, Echo, strategy=strategy).server_close()


def test_the_strategy_can_be_replaced() -> None:
    with TCPServer(ANY_PORT, Named, strategy=Synchronous()) as server:
        strategy = Threaded()
        server.strategy = strategy
        assert server.strategy is strategy
        with connect(server) as client:
            server.handle_request()
            assert read_all(client) != threading.current_thread().name.encode()


def test_a_replaced_strategy_is_drained_and_free() -> None:
    before, after = Threaded(), Synchronous()
    threads = threading.active_count()
    with TCPServer(ANY_PORT, Echo, strategy=before) as server:
        with connect(server) as client:
            server.handle_request()
            client.shutdown(socket.SHUT_WR)
            assert read_all(client) == b""
        assert threading.active_count() == threads + 1
        server.strategy = after
        assert threading.active_count() == threads
        with TCPServer(ANY_PORT, Echo, strategy=before):
            pass
        with pytest.raises(ValueError, match="already"):
            TCPServer(ANY_PORT, Echo, strategy=after)


def test_the_same_strategy_can_be_assigned_again() -> None:
    strategy = Threaded()
    with TCPServer(ANY_PORT, Echo, strategy=strategy) as server:
        server.strategy = strategy
        assert server.strategy is strategy
        with pytest.raises(ValueError, match="already"):
            TCPServer(ANY_PORT, Echo, strategy=strategy)


def test_a_strategy_that_is_nested_into_its_successor_stays_taken() -> None:
    inner = Threaded()
    with TCPServer(ANY_PORT, Echo, strategy=inner) as server:
        server.strategy = Prefork(1, inner)
        with pytest.raises(ValueError, match="already"):
            TCPServer(ANY_PORT, Echo, strategy=inner).server_close()


def test_a_strategy_that_is_taken_out_of_its_nest_stays_taken() -> None:
    inner = Threaded()
    with TCPServer(ANY_PORT, Echo, strategy=Prefork(1, inner)) as server:
        server.strategy = inner
        with pytest.raises(ValueError, match="already"):
            TCPServer(ANY_PORT, Echo, strategy=inner).server_close()


def test_what_is_no_strategy_cannot_be_assigned() -> None:
    strategy = Threaded()
    with TCPServer(ANY_PORT, Echo, strategy=strategy) as server:
        with pytest.raises(TypeError, match=r"write Synchronous\(\)"):
            server.strategy = Synchronous  # type: ignore[assignment]
        with pytest.raises(TypeError, match="subclass of Strategy"):
            server.strategy = None  # type: ignore[assignment]
        assert server.strategy is strategy


def test_a_strategy_that_serves_another_server_cannot_be_assigned() -> None:
    mine, theirs = Threaded(), Threaded()
    with (
        TCPServer(ANY_PORT, Echo, strategy=mine) as server,
        TCPServer(ANY_PORT, Echo, strategy=theirs),
    ):
        with pytest.raises(ValueError, match="already"):
            server.strategy = theirs
        assert server.strategy is mine


def test_a_closed_server_takes_no_strategy_away() -> None:
    strategy = Threaded()
    closed = TCPServer(ANY_PORT, Echo)
    closed.server_close()
    closed.strategy = strategy
    with TCPServer(ANY_PORT, Echo, strategy=strategy) as server:
        assert server.strategy is strategy
