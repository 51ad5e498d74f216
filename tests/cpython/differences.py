"""The tests of CPython's suites that cannot pass, each with the reason why we differ on purpose.

The list is kept true: a test that is on it and passes makes the run fail, and so does one that does
not exist.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass

from suites import RUNS

PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"


@dataclass(frozen=True)
class Difference:
    """Tests that cannot pass, for one reason.

    Attributes:
        reason: why not.
        tests: their identifiers, without the package.
        runs: in which of `suites.RUNS`.
        pythons: on which versions of Python; none: on all.
        timing: whether it depends on timing, so that they may pass as well.
        waits: whether they would wait for ever, so that they are not run.
    """

    reason: str
    tests: tuple[str, ...]
    runs: tuple[str, ...]
    pythons: tuple[str, ...] = ()
    timing: bool = False
    waits: bool = False


_CGI = "test_httpservers.CGIHTTPServerTestCase"
_OWN = ("own", "ThreadPool", "Prefork", "Prefork-ThreadPool")
_PREFORK = ("Prefork", "Prefork-ThreadPool")
_POOL = ("ThreadPool", "Prefork-ThreadPool")
_ALL = tuple(RUNS)

DIFFERENCES = (
    Difference(
        "A handler's SystemExit in a thread or a child goes to handle_error, as an error of that "
        "one connection, instead of ending the thread without a word.",
        (
            "test_socketserver.ErrorHandlerTest.test_forking_not_handled",
            "test_socketserver.ErrorHandlerTest.test_threading_not_handled",
        ),
        tuple(run for run in _ALL if run != "Prefork"),
    ),
    Difference(
        "handle_request runs the handler in the calling thread under Prefork(2), and a handler's "
        "SystemExit there is its caller's, as in every server without a mix-in.",
        (
            "test_socketserver.ErrorHandlerTest.test_forking_not_handled",
            "test_socketserver.ErrorHandlerTest.test_threading_not_handled",
        ),
        ("Prefork",),
    ),
    Difference(
        "A server without a mix-in handles in a thread here, where a handler's SystemExit goes to "
        "handle_error.",
        ("test_socketserver.ErrorHandlerTest.test_sync_not_handled",),
        _POOL,
    ),
    Difference(
        "It compares __all__ with what was defined in a module of the name socketserver, and our "
        "servers are defined in modules of our own.",
        ("test_socketserver.MiscTestCase.test_all",),
        _OWN,
    ),
    Difference(
        "It counts the items of the private attribute _threads, which our own servers do not have; "
        "adopted ones do.",
        ("test_socketserver.MiscTestCase.test_threads_reaped",),
        _OWN,
    ),
    Difference(
        "The handler writes to the sys.stderr of a worker process, which is not the one that the "
        "test has replaced.",
        (
            "test_httpservers.RequestHandlerLoggingTestCase.test_err",
            "test_httpservers.RequestHandlerLoggingTestCase.test_get",
        ),
        _PREFORK,
    ),
    Difference(
        "The handler changes attributes of the test, and sets its event, in a worker process, so "
        "that the test waits in vain.",
        (
            "test_logging.SocketHandlerTest.test_output",
            "test_logging.UnixSocketHandlerTest.test_output",
            "test_logging.DatagramHandlerTest.test_output",
            "test_logging.UnixDatagramHandlerTest.test_output",
            "test_logging.SysLogHandlerTest.test_output",
            "test_logging.SysLogHandlerTest.test_udp_reconnection",
            "test_logging.UnixSysLogHandlerTest.test_output",
            "test_logging.UnixSysLogHandlerTest.test_udp_reconnection",
            "test_logging.IPv6SysLogHandlerTest.test_output",
            "test_logging.IPv6SysLogHandlerTest.test_udp_reconnection",
            "test_logging.HTTPHandlerTest.test_output",
        ),
        _PREFORK,
        waits=True,
    ),
    Difference(
        "It counts all lines that are logged, and our warning that handle_request does not start "
        "workers is one of them.",
        (
            "test_logging.ConfigDictTest.test_listen_config_1_ok",
            "test_logging.ConfigDictTest.test_listen_verify",
        ),
        _PREFORK,
    ),
    Difference(
        "It changes the current directory while the server starts, and a worker that is forked "
        "already goes on in the former one. (CPython skips it for root.)",
        (
            f"{_CGI}.test_accept",
            f"{_CGI}.test_authorization",
            f"{_CGI}.test_cgi_path_in_sub_directories",
            f"{_CGI}.test_headers_and_content",
            f"{_CGI}.test_nested_cgi_path_issue21323",
            f"{_CGI}.test_no_leading_slash",
            f"{_CGI}.test_os_environ_is_not_altered",
            f"{_CGI}.test_post",
            f"{_CGI}.test_query_with_continuous_slashes",
            f"{_CGI}.test_query_with_multiple_question_mark",
            f"{_CGI}.test_urlquote_decoding_in_cgi_check",
        ),
        _PREFORK,
        pythons=("3.11", "3.12", "3.13"),  # the handler is gone since
        timing=True,
    ),
)


def differences(suite: str, run: str) -> dict[str, Difference]:
    """What is expected not to pass when `suite` is run as `run`, by the test's identifier."""
    return {
        test: each
        for each in DIFFERENCES
        for test in each.tests
        if test.startswith(f"{suite}.") and run in each.runs and PYTHON in (each.pythons or PYTHON)
    }
