"""A server in a process of its own, which does what its clients and its standard input say.

    python probe.py STRATEGY [OPTIONS AS JSON]

STRATEGY is the text of a strategy, or `socketserver.NAME` for a class of the standard library. It
writes one JSON object a line to its standard output: what happened, and when.
"""

from __future__ import annotations

import builtins
import contextlib
import ctypes
import errno
import fcntl
import gc
import itertools
import json
import logging
import os
import resource
import signal
import socket
import socketserver
import sys
import threading
import time
import warnings
from pathlib import Path
from typing import Any

import psutil

from passing_on import overridden
from serverstrategy import (
    BaseRequestHandler,
    DatagramRequestHandler,
    StreamRequestHandler,
    TCPServer,
    UDPServer,
    UnixDatagramServer,
    UnixStreamServer,
    adopt,
    with_strategy,
)
from serverstrategy.strategies import parse
from shapes import SHAPES

OPTIONS = {
    "family": "tcp",  # a name of FAMILIES
    "address": ["127.0.0.1", 0],  # or a path
    "keywords": {},  # of the constructor
    "default_timeout": None,  # of all sockets, in seconds
    "grace": 30.0,
    "poll": 60.0,
    "thread": False,  # serve in a thread, and obey the standard input in the main thread
    "hooks": [],  # names of HOOKS
    "requests": 0,  # handle so many by handle_request instead of serve_forever
    "before": [],  # methods to call before serving
    "again": False,  # serve a second time
    "nofile": 0,  # the limit of descriptors, beyond those that are open at the start
    "own_child": False,  # have a child that is no concern of the server's
    "daemon": False,  # go on in a forked process, as a daemon does
    "beside": False,  # have another thread that does nothing
    "overridden": False,  # each hook by one that only passes on
    "shape": "",  # a class of `shapes` that is given the strategy
    "way": "adopt",  # or "class": how it is given that
    "next": [],  # strategies to assign, one with each SIGHUP, which has it reload if there are none
    "quiet": False,  # handlers do not tell that they begin and end
    "failing_forks": [],  # which calls of os.fork fail in the main process, from 0
    "threadless_forks": [],  # which of them make a process that can start no thread
    "processes": 0,  # how many processes and threads it may have, as another user; needs root
    "objects": 0,  # how many it makes before serving
    "worker_hooks": [],  # names of WORKER_HOOKS, for the Prefork that `hooked` says
    "hooked": 0,  # 0: the outermost strategy; 1: the one inside of it
    "gate": "",  # a file, on which the hook `successors_wait` waits until nobody has a lock
    "unflushed": "",  # text that is in the buffer of the standard output before serving
}


class Unusual(BaseException):
    """No Exception."""


def tell(event: str, **fields: Any) -> None:
    told = {"event": event, "pid": os.getpid(), "at": time.monotonic(), **fields}
    line = json.dumps(told) + "\n"
    os.write(1, line.encode())


def without_imports(function: Any, *arguments: Any) -> Any:
    """Call what a signal handler may call, which comes amid any import of the main thread."""
    original = builtins.__import__
    here = threading.get_ident()

    def refuse(name: str, *rest: Any) -> Any:
        if threading.get_ident() == here:
            raise AssertionError(f"{name} is imported in a signal handler")
        return original(name, *rest)

    builtins.__import__ = refuse
    try:
        return function(*arguments)
    finally:
        builtins.__import__ = original


def milliseconds(function: Any) -> float:
    started = time.monotonic()
    function()
    return 1000 * (time.monotonic() - started)


def report(server: Any) -> Any:
    """What became of the connections, as plain data."""
    found = getattr(server, "drain_report", None)
    return None if found is None else found.plain()


def peer(address: Any) -> Any:
    """What tells one client from another: its port, or its path."""
    return address[1] if isinstance(address, tuple) else address


class Commands(BaseRequestHandler):
    """One command a line; the reply is one line too."""

    rfile: Any
    wfile: Any
    is_quiet = False

    def handle(self) -> None:
        if not self.is_quiet:
            tell("handling", peer=peer(self.client_address))
        for line in self.rfile:
            command, *arguments = line.decode().split()
            reply = getattr(self, f"do_{command}")(*arguments)
            self.wfile.write(f"{reply}\n".encode())

    def finish(self) -> None:
        super().finish()
        if not self.is_quiet:
            tell("finished", peer=peer(self.client_address))

    def do_echo(self, *words: str) -> str:
        return " ".join(words)

    def do_pid(self) -> int:
        return os.getpid()

    def do_thread(self) -> str:
        is_main = threading.current_thread() is threading.main_thread()
        return "main" if is_main else "another"

    def do_who(self) -> str:
        """Who handles this: the process, its parent, and the number of the thread, 0 for main."""
        thread = threading.current_thread()
        # A forked thread is the main thread of its process, under its old name.
        is_main = thread is threading.main_thread()
        number = 0 if is_main else thread.name.split("-")[1].split()[0]
        return f"{os.getpid()} {os.getppid()} {number}"

    def do_assign(self, *words: str) -> str:
        try:
            assign(self.server, " ".join(words))
        except Exception as error:  # noqa: BLE001 - the test asks which
            return f"{type(error).__name__}: {error}"
        return "assigned"

    def do_reload(self) -> str:
        self.server.strategy.reload()
        return "reloaded"

    def do_reload_inner(self) -> str:
        self.server.strategy.inner.reload()
        return "reloaded"

    def do_hoard(self, megabytes: str) -> str:
        memory.append(b"x" * (int(megabytes) << 20))
        return "hoarded"

    def do_collect(self) -> int:
        return gc.collect()

    def do_status(self) -> str:
        return json.dumps(self.server.status())

    def do_leave_thread(self, path: str) -> str:
        """Leave a thread behind, which keeps its process from ending until nobody has the lock."""
        threading.Thread(target=self.do_wait, args=(path,)).start()
        return "left"

    def do_report(self) -> str:
        return json.dumps(report(self.server))

    def do_in_flight(self) -> int:
        return len(self.server.in_flight)

    def do_sleep(self, seconds: str) -> str:
        self.wfile.write(b"sleeping\n")
        time.sleep(float(seconds))
        return "slept"

    def do_hog(self) -> None:
        """Keep the interpreter's lock, deaf to all signals but those that the system sees to."""
        self.wfile.write(b"hogging\n")
        sum(itertools.repeat(1, 1 << 60))

    def do_wait(self, path: str) -> str:
        """Wait until nobody has a lock on the file."""
        with Path(path).open() as file:
            fcntl.flock(file, fcntl.LOCK_SH)
        return "waited"

    def do_call(self, method: str) -> str:
        return f"{milliseconds(getattr(self.server, method)):.3f}"

    def do_raise(self, name: str) -> str:
        if name == "Unusual":
            raise Unusual
        raise {"SystemExit": SystemExit, "KeyboardInterrupt": KeyboardInterrupt}.get(
            name, ValueError
        )("as the client wished")

    def do_print(self, text: str) -> str:
        print(text, end="\n")
        return "printed"

    def do_fork(self) -> str:
        """Fork a process of the application's own, which leaves the server's `with` block."""
        pid = os.fork()
        if pid == 0:
            try:
                self.server.server_close()
                os._exit(0)
            finally:
                os._exit(1)
        return str(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))

    def do_fork_that_calls_shutdown(self) -> str:
        pid = os.fork()
        if pid == 0:
            try:
                self.server.shutdown()
                os._exit(0)
            finally:
                os._exit(1)
        return str(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))

    def do_ignore(self, signal_number: str) -> str:
        """Ignore a signal: in any thread, which Python does in the main thread only."""
        set_handler = ctypes.CDLL(None).signal
        set_handler.argtypes = [ctypes.c_int, ctypes.c_void_p]
        set_handler(int(signal_number), int(signal.SIG_IGN))
        return "ignored"

    def do_default(self, signal_number: str) -> str:
        """Let the system see to a signal. Only in the main thread."""
        signal.signal(int(signal_number), signal.SIG_DFL)
        return "default"

    def do_hold(self, seconds: str) -> str:
        """Sleep with the interpreter's lock."""
        self.wfile.write(b"holding\n")
        ctypes.PyDLL(None).sleep(int(seconds))
        return "held"

    def do_die(self) -> None:
        os.kill(os.getpid(), signal.SIGKILL)


class Handler(Commands, StreamRequestHandler):
    """Commands over a connection."""


class DatagramHandler(Commands, DatagramRequestHandler):
    """Commands in a datagram, which is answered by one."""


FAMILIES: dict[str, tuple[type[TCPServer], type[Commands]]] = {
    "tcp": (TCPServer, Handler),
    "udp": (UDPServer, DatagramHandler),
    "unix": (UnixStreamServer, Handler),
    "unixgram": (UnixDatagramServer, DatagramHandler),
}


def verify_raises(server: Any, request: Any, address: Any) -> bool:
    if not server.failures:
        server.failures.append("verify_request")
        raise ValueError("verify_request fails once")
    return True


def get_request_raises(server: Any) -> Any:
    request, address = type(server).get_request(server)
    if not server.failures:
        server.failures.append("get_request")
        request.close()
        raise ValueError("get_request fails once")
    return request, address


def handle_error_raises(server: Any, request: Any, address: Any) -> None:
    tell("handle_error", within_except=sys.exc_info()[1] is not None)
    raise ValueError("handle_error fails")


def handle_error_tells(server: Any, request: Any, address: Any) -> None:
    error = sys.exc_info()[1]
    tell("handle_error", error=type(error).__name__, peer=peer(address))


def process_request_raises(server: Any, request: Any, address: Any) -> None:
    if not server.failures:
        server.failures.append("process_request")
        raise ValueError("process_request fails once")
    type(server).process_request(server, request, address)


def get_request_raises_always(server: Any) -> Any:
    request, address = type(server).get_request(server)
    if server.failures.append("get_request") or len(server.failures) <= 200:
        request.close()
        raise ValueError("the client is a scanner")
    return request, address


def verify_sleeps(server: Any, request: Any, address: Any) -> bool:
    tell("verifying")
    time.sleep(30)
    return True


def verify_closes(server: Any, request: Any, address: Any) -> bool:
    tell("closed_in_hook", ms=milliseconds(server.server_close))
    return True


def verify_refuses(server: Any, request: Any, address: Any) -> bool:
    return not request[0].startswith(b"refuse")


def get_request_without_flags(server: Any) -> Any:
    data, address = server.socket.recvfrom(server.max_packet_size)
    return (data, server.socket), address


def entry_interrupts(server: Any) -> Any:
    """Stands for a Ctrl-C between the accept and the entry in the register."""
    request, address = type(server).get_request(server)
    in_flight = server._serverstrategy.in_flight
    server.add, in_flight.add = in_flight.add, interrupt(server)
    return request, address


def interrupt(server: Any) -> Any:
    def raises(*_: object) -> None:
        server._serverstrategy.in_flight.add = server.add
        raise KeyboardInterrupt

    return raises


def service_actions_tells(server: Any) -> None:
    tell("service_actions")


HOOKS = {
    "verify_raises": ("verify_request", verify_raises),
    "get_request_raises": ("get_request", get_request_raises),
    "handle_error_raises": ("handle_error", handle_error_raises),
    "handle_error_tells": ("handle_error", handle_error_tells),
    "process_request_raises": ("process_request", process_request_raises),
    "get_request_raises_200_times": ("get_request", get_request_raises_always),
    "verify_sleeps": ("verify_request", verify_sleeps),
    "verify_closes": ("verify_request", verify_closes),
    "verify_refuses": ("verify_request", verify_refuses),
    "get_request_without_flags": ("get_request", get_request_without_flags),
    "interrupted_after_accept": ("get_request", entry_interrupts),
    "service_actions_tells": ("service_actions", service_actions_tells),
}


def about(worker: Any) -> dict[str, Any]:
    """A worker of `Prefork` as the hooks see it, as plain data."""
    names = ("number", "generation", "age", "state", "has_started", "connections", "errors")
    shown = {name: getattr(worker, name) for name in names}
    in_flight = [[peer(each.client_address), each.age] for each in worker.in_flight()]
    return shown | {"worker": worker.pid, "in_flight": in_flight, "repr": repr(worker)}


exits: list[int] = []
gate: list[str] = []


def start_tells(worker: Any) -> None:
    tell("worker_start", **about(worker))


def start_raises(worker: Any) -> None:
    start_tells(worker)
    raise ValueError("on_worker_start fails")


def start_raises_late(worker: Any) -> None:
    time.sleep(1.1)
    start_raises(worker)


def start_exits(worker: Any) -> None:
    start_tells(worker)
    os._exit(7)


def start_gives_up(worker: Any) -> None:
    start_tells(worker)
    raise SystemExit("no database")


def start_hangs(worker: Any) -> None:
    start_tells(worker)
    time.sleep(60)


def start_waits_until_parent_stops(worker: Any) -> None:
    start_tells(worker)
    parent = psutil.Process(os.getppid())
    while not exits and parent.status() != psutil.STATUS_STOPPED:
        time.sleep(0.001)


def exit_tells(worker: Any, status: int) -> None:
    exits.append(status)
    tell("worker_exit", status=status, **about(worker))


def exit_raises(worker: Any, status: int) -> None:
    exit_tells(worker, status)
    raise ValueError("on_worker_exit fails")


def exit_raises_system_exit(worker: Any, status: int) -> None:
    exit_tells(worker, status)
    if len(exits) == 1:
        raise SystemExit


def timeout_tells(worker: Any) -> None:
    tell("worker_timeout", **about(worker))


def timeout_raises(worker: Any) -> None:
    timeout_tells(worker)
    raise ValueError("on_worker_timeout fails")


def successors_wait(worker: Any) -> None:
    """Wait until nobody has a lock on the file, unless this is one of the first workers."""
    start_tells(worker)
    if worker.generation:
        with Path(gate[0]).open() as file:
            fcntl.flock(file, fcntl.LOCK_SH)


def once_replaced(hook: Any, until: int = 100) -> Any:
    """`hook` in the workers that are started after the first exit, and before so many."""

    def start(worker: Any) -> None:
        (hook if 0 < len(exits) < until else start_tells)(worker)

    return start


WORKER_HOOKS = {
    "start_tells": ("on_worker_start", start_tells),
    "start_raises": ("on_worker_start", start_raises),
    "start_exits": ("on_worker_start", start_exits),
    "start_gives_up": ("on_worker_start", start_gives_up),
    "start_hangs": ("on_worker_start", start_hangs),
    "start_waits_until_parent_stops": ("on_worker_start", start_waits_until_parent_stops),
    "successors_raise_late": ("on_worker_start", once_replaced(start_raises_late)),
    "successors_exit": ("on_worker_start", once_replaced(start_exits)),
    "successors_hang": ("on_worker_start", once_replaced(start_hangs)),
    "two_successors_raise": ("on_worker_start", once_replaced(start_raises, 3)),
    "two_successors_give_up": ("on_worker_start", once_replaced(start_gives_up, 3)),
    "two_successors_exit": ("on_worker_start", once_replaced(start_exits, 3)),
    "successors_wait": ("on_worker_start", successors_wait),
    "exit_tells": ("on_worker_exit", exit_tells),
    "exit_raises": ("on_worker_exit", exit_raises),
    "exit_raises_system_exit": ("on_worker_exit", exit_raises_system_exit),
    "timeout_tells": ("on_worker_timeout", timeout_tells),
    "timeout_raises": ("on_worker_timeout", timeout_raises),
}


def no_thread(*_: Any) -> None:
    raise RuntimeError("can't start new thread")


def no_fork() -> int:
    raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN))


def refuse_threads() -> None:
    """Have no thread start in this process. Those that it forks may start some."""
    start, pid = threading.Thread.start, os.getpid()
    threading.Thread.start = lambda thread: no_thread() if os.getpid() == pid else start(thread)  # type: ignore[method-assign]


def fork_failing(numbers: list[int], threadless: list[int]) -> Any:
    """An `os.fork` for this process, of which the calls with these numbers fail.

    `threadless`: those that make a process which can start no thread.
    """
    fork, pid, calls = os.fork, os.getpid(), itertools.count()

    def count_and_fork() -> int:
        if os.getpid() == pid:
            number = next(calls)
            tell("fork", number=number)
            if number in numbers:
                no_fork()
            child = fork()
            if child == 0 and number in threadless:
                refuse_threads()
            return child
        return fork()

    return count_and_fork


def drain(server: Any) -> None:
    tell("drained", report=server.shutdown(drain=True).plain())


hoard: list[int] = []
memory: list[object] = []


def hoard_or_release(*_: Any) -> None:
    """Take all descriptors that are left, or give them back."""
    if hoard:
        while hoard:
            os.close(hoard.pop())
        tell("released")
        return
    with contextlib.suppress(OSError):
        while True:
            hoard.append(os.open(os.devnull, os.O_RDONLY))
    tell("hoarded")


def assign(server: Any, text: str) -> None:
    """Replace the strategy, whatever the server is doing."""
    before = server.strategy
    server.strategy = parse(text)
    # Takes a number: the threads that the new strategy starts have higher ones.
    number = threading.Thread().name.split("-")[1]
    tell("assigned", before=repr(before), strategy=repr(server.strategy), thread=int(number))


def resize(server: Any, difference: int) -> None:
    server.strategy.workers = max(1, server.strategy.workers + difference)
    tell("resized", workers=server.strategy.workers)


def give(cls: Any, text: str, way: str) -> Any:
    """What builds a server of the class `cls` with a strategy."""
    if way == "class":
        return with_strategy(cls, lambda: parse(text))
    return lambda *arguments: adopt(cls(*arguments), parse(text))


def build(text: str, options: dict[str, Any]) -> Any:
    address = options["address"]
    address = tuple(address) if isinstance(address, list) else address
    socket.setdefaulttimeout(options["default_timeout"])
    server: Any
    if text.startswith("socketserver."):
        cls = getattr(socketserver, text.removeprefix("socketserver."))
        cls = type(cls.__name__, (cls,), {"request_queue_size": 128})
        server = cls(address, Handler)
    elif options["shape"]:
        server = give(SHAPES[options["shape"]], text, options["way"])(address, Handler)
        server.grace_period = options["grace"]
    else:
        cls, handler = FAMILIES[options["family"]]
        cls = overridden(cls) if options["overridden"] else cls
        server = cls(
            address, handler, strategy=parse(text, allow_import=True), **options["keywords"]
        )
        server.grace_period = options["grace"]
    server.failures = []
    for name in options["hooks"]:
        if name == "no_freeze":
            from serverstrategy.strategies import _child

            _child.freeze = lambda: None
        elif name == "no_thread":
            threading.Thread.start = no_thread  # type: ignore[method-assign, assignment]
        elif name == "no_fork":
            os.fork = no_fork
        elif name == "no_pidfd":
            del os.pidfd_open
        elif name == "interrupted_fork":
            # Delivered when the fork is over and the signals are let in again.
            os.register_at_fork(before=lambda: os.kill(os.getpid(), signal.SIGINT))
        else:
            method, function = HOOKS[name]
            setattr(server, method, function.__get__(server))
    if options["failing_forks"] or options["threadless_forks"]:
        os.fork = fork_failing(options["failing_forks"], options["threadless_forks"])
    if options["processes"]:
        os.setuid(1_000_000 + os.getpid())  # limits do not hold for root, and count for each user
        resource.setrlimit(resource.RLIMIT_NPROC, 2 * (options["processes"],))
    gate.append(options["gate"])
    for name in options["worker_hooks"]:
        attribute, hook = WORKER_HOOKS[name]
        setattr(server.strategy.inner if options["hooked"] else server.strategy, attribute, hook)
    return server


def serve(server: Any, options: dict[str, Any]) -> None:
    error = message = None
    try:
        if options["requests"]:
            for _ in range(options["requests"]):
                server.handle_request()
        else:
            server.serve_forever(options["poll"])
    except BaseException as exc:  # noqa: BLE001 - the test asks which
        error, message = type(exc).__name__, str(exc)
    tell("returned", error=error, message=message)


def obey(server: Any) -> None:
    """Call the methods that the standard input names, until its end."""
    # Not by sys.stdin: a child must not inherit what is buffered, nor its lock.
    rest = b""
    while chunk := os.read(0, 4096):
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            method, *arguments = line.decode().split()
            answer = error = None
            started = time.monotonic()
            try:
                if method == "assign":
                    assign(server, " ".join(arguments))
                elif method == "workers":
                    server.strategy.workers = parse(f"Prefork({' '.join(arguments)})").workers
                elif method == "reload":
                    server.strategy.reload()
                else:
                    answer = getattr(server, method)(*map(float, arguments))
            except Exception as exc:  # noqa: BLE001 - the test asks which
                error = type(exc).__name__
            ms = 1000 * (time.monotonic() - started)
            tell(method, ms=ms, error=error, answer=answer)


def what_is_left(fds: int, threads: int, own_child: int) -> dict[str, Any]:
    process = psutil.Process()
    children = [child for child in process.children(recursive=True) if child.pid != own_child]
    return {
        "fds": process.num_fds() - fds,
        "threads": threading.active_count() - threads,
        "children": [(child.pid, child.status()) for child in children],
    }


def main() -> None:
    text = sys.argv[1]
    options = OPTIONS | json.loads(sys.argv[2] if len(sys.argv) > 2 else "{}")
    warnings.simplefilter("always")  # a fork beside a thread, since Python 3.12
    logging.basicConfig(level=logging.INFO, format="%(process)d %(levelname)s %(message)s")
    own_child = 0
    if options["own_child"]:
        own_child = os.fork()
        if own_child == 0:
            os.read(0, 1)
            os._exit(7)
    if options["nofile"]:
        limit = psutil.Process().num_fds() + options["nofile"]
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
    memory.extend([number] for number in range(options["objects"]))
    fds, threads = psutil.Process().num_fds(), threading.active_count()
    server = build(text, options)
    signal.signal(signal.SIGTERM, lambda *_: without_imports(server.shutdown))
    signal.signal(signal.SIGUSR1, lambda *_: server.server_close())
    signal.signal(signal.SIGUSR2, hoard_or_release)
    signal.signal(signal.SIGWINCH, lambda *_: drain(server))
    signal.signal(signal.SIGPROF, lambda *_: tell("status", answer=without_imports(server.status)))
    signal.signal(signal.SIGTTIN, lambda *_: without_imports(resize, server, 1))
    signal.signal(signal.SIGTTOU, lambda *_: without_imports(resize, server, -1))
    following = iter(options["next"])
    signal.signal(
        signal.SIGHUP,
        lambda *_: (
            assign(server, next(following))
            if options["next"]
            else without_imports(server.strategy.reload)
        ),
    )
    Commands.is_quiet = options["quiet"]
    if options["beside"]:
        threading.Thread(target=threading.Event().wait, daemon=True).start()
        threads += 1
    tell("listening", address=server.server_address)
    if options["daemon"]:
        if options["requests"]:
            serve(server, options | {"requests": 1})
        if pid := os.fork():
            os._exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
        fds, threads = psutil.Process().num_fds() - 1, threading.active_count()
        options["requests"] = 0
        tell("daemon")
    for method in options["before"]:
        getattr(server, method)()
    if options["unflushed"]:
        sys.stdout.write(options["unflushed"] + "\n")
    try:
        if options["thread"]:
            thread = threading.Thread(target=serve, args=(server, options))
            thread.start()
            obey(server)
            thread.join()
        else:
            serve(server, options)
            if options["again"]:
                tell("again")
                serve(server, options)
        tell("closing")
        took = milliseconds(server.server_close)
        left = what_is_left(fds, threads, own_child)
        tell("closed", ms=took, report=report(server), **left)
        if own_child:
            tell("own_child", status=os.waitstatus_to_exitcode(os.waitpid(own_child, 0)[1]))
    except KeyboardInterrupt:
        tell("interrupted", **what_is_left(fds, threads, own_child))


if __name__ == "__main__":
    with contextlib.suppress(BrokenPipeError):
        main()
