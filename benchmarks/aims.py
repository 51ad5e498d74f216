"""The aims of this package, by strategy."""

from __future__ import annotations

from .aim import Aim
from .figure import (
    CALLS_BACKLOG,
    CALLS_IDLE,
    CPU,
    ENDED,
    HEARD,
    HEAVY,
    IMPORT,
    P50,
    P99,
    PRIVATE,
    RATE,
    REAPING,
    WAKE_UPS,
)
from .kinds import OVERRIDDEN, SLIM
from .loads.all import FORKING, OURS, SPARES, THREADING
from .loads.idle import ALONE

POOL, THREADED, FORKS, WORKERS, NEST = (
    "ThreadPool(8)",
    "Threaded()",
    "Forking()",
    "Prefork(2)",
    "Prefork(2, ThreadPool(32))",
)
MOST_SLEEPS = 6400.0  # a second: 64 handlers of 10 ms
HTTP_NEST = "Prefork(2, ThreadPool(8))"

AIMS: tuple[Aim, ...] = (
    *(
        aim
        for name in ("Synchronous()", OVERRIDDEN + "Synchronous()")
        for aim in (
            Aim(name, "burst", RATE, 1.3, 1.45, "socketserver.TCPServer"),
            Aim(name, "burst", RATE, 0.88, 0.97, "bare"),
            Aim(name, "burst", RATE, 1.1, 1.25, "uvloop Protocol"),
        )
    ),
    Aim(SLIM + "Synchronous()", "burst", RATE, 0.88, 1.0, "bare"),
    Aim("Synchronous()", "system-calls", CALLS_BACKLOG, 6.3),
    Aim("Synchronous()", "system-calls", CALLS_IDLE, 8.0),
    *(
        aim
        for name in (POOL, OVERRIDDEN + POOL)
        for aim in (
            Aim(name, "burst", RATE, 4.2, 5.0, THREADING),
            Aim(name, "burst", RATE, 1.8, 2.1, "ThreadPoolExecutor(8)"),
            Aim(name, "burst", RATE, 3.2, 3.8, "asyncio"),
            Aim(name, "burst", RATE, 0.85, 0.95, "bare"),
        )
    ),
    Aim("ThreadPool(64)", "sleeping", RATE, 0.88, 0.94, unit=MOST_SLEEPS),
    Aim("ThreadPool(512)", "closed-64", P99, 1.1, to=POOL),
    Aim(THREADED, "closed-64", RATE, 3.5, 4.2, THREADING),
    Aim(THREADED, "closed-512", RATE, 3.5, 4.2, THREADING),
    Aim(THREADED, "open-2500", P99, 0.35, to=THREADING),
    Aim(THREADED, "sleeping", RATE, 1.8, to=THREADING),
    Aim(THREADED, "idle-1000", RATE, 0.85, to=THREADED + ALONE),
    Aim(FORKS, "closed-64", RATE, 1.25, 1.6, FORKING),
    Aim(SPARES, "open-250", P50, 0.35, to=FORKING),
    Aim(SPARES, "open-250", P99, 0.7, to=FORKING),
    Aim("Forking(1000)", "reaping", REAPING, 10.0),
    Aim(WORKERS, "burning", RATE, 1.85, 1.95, "Synchronous()"),
    Aim(WORKERS, "burning", RATE, 2.5, to=THREADING),
    Aim(WORKERS, "burning", RATE, 3.5, to=FORKING),
    Aim("Prefork(32)", "closed-64", CPU, 1.7, 1.4, "bare"),
    Aim(WORKERS, "memory", PRIVATE, 1.6),
    Aim(NEST, "sleeping", RATE, 0.92, 0.96, unit=MOST_SLEEPS),
    Aim(NEST, "sleeping", RATE, 2.2, to=THREADING),
    Aim(NEST, "burning", RATE, 1.5, 1.8, "Synchronous()"),
    Aim(POOL, "http", RATE, 2.0, 2.5, "http.server.ThreadingHTTPServer"),
    Aim(HTTP_NEST, "http", RATE, 2.0, 2.5, "gunicorn sync(2)"),
    *(
        Aim(name, load, HEARD, 50.0, 10.0)
        for load in ("stop-idle", "stop-busy", "stop-full")
        for name in (*OURS, "Prefork(32)")
    ),
    Aim("Prefork(32)", "stop-idle", ENDED, 50.0, 10.0),
    *(Aim(name, "stop-idle", WAKE_UPS, 0.0) for name in (*OURS, "Prefork(32)")),
    Aim("import serverstrategy", "import", IMPORT, 1.3, 1.1, "import socketserver, logging"),
    Aim("import serverstrategy", "import", HEAVY, 0.0),
)
