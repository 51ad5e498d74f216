"""All loads, each with the servers that it makes sense for."""

from __future__ import annotations

from benchmarks.kinds import OVERRIDDEN, SLIM
from benchmarks.load import Load

from .burst import Burst
from .closed import Burning, Closed, KeepAlive, OpenLoop
from .idle import ALONE, Idle
from .importing import Importing
from .memory import Memory
from .reaping import Reaping
from .stopping import Stopping, StoppingIdle
from .system_calls import SystemCalls

OURS = (
    "Synchronous()",
    "ThreadPool(8)",
    "Threaded()",
    "Forking()",
    "Prefork(2)",
    "Prefork(2, ThreadPool(8))",
)
LAYERS = (
    "Limit(64, Threaded())",
    "PerClient(2000, ThreadPool(8))",
    "Fallback(Forking(), ThreadPool(8))",
)
LOOPS = ("asyncio", "uvloop", "uvloop Protocol", "gevent", "tornado")
STANDARD = (
    "socketserver.TCPServer",
    "socketserver.ThreadingTCPServer",
    "socketserver.ForkingTCPServer",
    "ThreadPoolExecutor(8)",
)
THREADING = "socketserver.ThreadingTCPServer"
FORKING = "socketserver.ForkingTCPServer"
SPARES = "Forking(40, spare=8)"
IDLERS = (f"Threaded(){ALONE}", "Threaded()", THREADING, f"{THREADING}{ALONE}", *LOOPS)
HTTP = (
    "bare",
    "Synchronous()",
    "ThreadPool(8)",
    OVERRIDDEN + "ThreadPool(8)",
    "Threaded()",
    "Prefork(2, ThreadPool(8))",
    "http.server.HTTPServer",
    "http.server.ThreadingHTTPServer",
    "wsgiref",
    "waitress(8)",
    "cheroot(8)",
    "gunicorn sync(2)",
    "gunicorn gthread(2, 8)",
)

LOADS: tuple[Load, ...] = (
    Burst(
        "burst",
        "1,000 connections wait in the backlog when the server goes on",
        (
            "bare",
            SLIM + "Synchronous()",
            *(name for each in OURS for name in (each, OVERRIDDEN + each)),
            *LAYERS,
            *STANDARD,
            *LOOPS,
        ),
    ),
    Closed(
        "closed-1",
        "one connection after another",
        ("bare", *OURS, *STANDARD, *LOOPS),
        connections=1,
    ),
    Closed(
        "closed-64",
        "64 connections at a time",
        ("bare", *OURS, "ThreadPool(512)", "Prefork(32)", *STANDARD, *LOOPS),
    ),
    Closed(
        "closed-512",
        "512 connections at a time",
        ("bare", *OURS, *STANDARD, *LOOPS),
        connections=512,
    ),
    Closed(
        "sleeping",
        "64 connections at a time, whose handlers sleep 10 ms: 6,400 a second at most",
        (
            "bare threads(64)",
            "ThreadPool(64)",
            "Threaded()",
            "Prefork(2, ThreadPool(32))",
            THREADING,
            "ThreadPoolExecutor(64)",
            *LOOPS,
        ),
        "sleep",
        seconds=1.0,
    ),
    Burning(
        "burning",
        "64 connections at a time, whose handlers compute for 2 ms",
        (
            "bare processes(2)",
            "Synchronous()",
            "ThreadPool(8)",
            "Prefork(2)",
            "Prefork(2, ThreadPool(32))",
            "Forking()",
            *STANDARD,
            "uvloop Protocol",
        ),
        "burn",
        seconds=1.0,
    ),
    OpenLoop(
        "open-250",
        "250 connections a second, whatever the answers take",
        ("bare", "Forking()", SPARES, FORKING),
        rate=250.0,
        seconds=2.0,
    ),
    OpenLoop(
        "open-2500",
        "2,500 connections a second, whatever the answers take",
        ("bare", "Threaded()", "ThreadPool(8)", THREADING, "ThreadPoolExecutor(8)", *LOOPS),
        rate=2500.0,
        seconds=1.0,
    ),
    KeepAlive(
        "keep-alive",
        "64 connections that stay open, with one exchange after another",
        (
            "bare threads(64)",
            "ThreadPool(64)",
            "Threaded()",
            "Prefork(2, ThreadPool(64))",
            THREADING,
            "ThreadPoolExecutor(64)",
            *LOOPS,
        ),
        "keep",
    ),
    Idle(
        "idle-1000",
        "64 connections at a time, beside 1,000 idle ones",
        IDLERS,
        idle=1000,
    ),
    Idle(
        "idle-10000",
        "64 connections at a time, beside 10,000 idle ones",
        # Not socketserver's, whose look at all its threads makes each accept take 10 ms then.
        [name for name in IDLERS if THREADING not in name],
        idle=10_000,
    ),
    Burst("http", "hello over HTTP, in bursts of 1,000 connections", HTTP, "hello"),
    SystemCalls(
        "system-calls",
        "system calls, counted by strace",
        (
            "bare",
            SLIM + "Synchronous()",
            *OURS,
            "socketserver.TCPServer",
            THREADING,
            "ThreadPoolExecutor(8)",
            *LOOPS,
        ),
    ),
    Memory(
        "memory",
        "workers of a parent with 200,000 objects, which have run the garbage collector",
        ("bare processes(2)", "Prefork(2)", "Prefork(2, ThreadPool(8))", "Prefork(32)"),
        "collect",
    ),
    StoppingIdle(
        "stop-idle",
        "a stop of an idle server",
        (THREADING, *OURS, "Prefork(32)"),
    ),
    Stopping(
        "stop-busy",
        "a stop amid 512 connections at a time",
        (THREADING, *OURS, "Prefork(32)"),
        connections=512,
    ),
    Stopping(
        "stop-full",
        "a stop amid 64 connections at a time, whose handlers sleep 10 ms",
        (THREADING, *OURS, "Prefork(32)"),
        "sleep",
        connections=64,
    ),
    Reaping(
        "reaping",
        "connections one after another, while 300 other children are alive",
        (FORKING, "Forking(1000)"),
    ),
    Importing(
        "import",
        "an import in a new interpreter",
        ("import socketserver, logging", "import serverstrategy"),
    ),
)
