"""The suites of CPython that start servers, and the ways in which they are run."""

from __future__ import annotations

from dataclasses import dataclass

# A suite may be narrowed to those of its classes that have to do with servers.
SUITES: dict[str, tuple[str, ...]] = {
    "test_socketserver": (),
    "test_httpservers": (),
    "test_xmlrpc": (),
    "test_wsgiref": (),
    "test_logging": (
        "SocketHandlerTest",
        "UnixSocketHandlerTest",
        "DatagramHandlerTest",
        "UnixDatagramHandlerTest",
        "SysLogHandlerTest",
        "UnixSysLogHandlerTest",
        "IPv6SysLogHandlerTest",
        "HTTPHandlerTest",
        "ConfigDictTest.test_listen_config_10_ok",
        "ConfigDictTest.test_listen_config_1_ok",
        "ConfigDictTest.test_listen_verify",
    ),
}

# Tests that sleep for seconds, and are not marked so by CPython: they need its resource `walltime`.
SLEEPING = (
    "test_logging.SocketHandlerTest.test_noserver",
    "test_logging.UnixSocketHandlerTest.test_noserver",
)


@dataclass(frozen=True)
class Run:
    """One way to run every suite.

    Attributes:
        way: how the servers get their strategies: see `substitutes.WAYS`.
        plain: the strategy of a server without a mix-in.
        threading: the strategy of one with `ThreadingMixIn`.
        forking: the strategy of one with `ForkingMixIn`.
        grace_period: that of our own servers, in seconds.
        resources: what CPython calls so: `walltime` is for the tests that wait for seconds.
    """

    way: str = "own"
    plain: str = "Synchronous()"
    threading: str = "Threaded()"
    forking: str = "Forking()"
    grace_period: float = 30.0
    resources: tuple[str, ...] = ("network", "cpu")


def _everything(strategy: str, grace_period: float = 30.0) -> Run:
    return Run("own", strategy, strategy, strategy, grace_period)


# In the suites the clients live in the process that forks the workers. A worker that is forked
# while a client is connected holds a copy of the client's end, and waits in vain for its close.
_WORKERS_GRACE = 2.0


# Once is enough for the tests that wait for seconds: nine of test_xmlrpc let `handle_request` wait
# for a second connection that does not come, 3 s each.
RUNS: dict[str, Run] = {
    "own": Run(resources=("network", "cpu", "walltime")),
    "ThreadPool": _everything("ThreadPool(4)"),
    "Prefork": _everything("Prefork(2)", _WORKERS_GRACE),
    "Prefork-ThreadPool": _everything("Prefork(2, ThreadPool(4))", _WORKERS_GRACE),
    "with_strategy": Run(way="with_strategy"),
    "adopt": Run(way="adopt"),
}
