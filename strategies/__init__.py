"""The strategies in the box, and `parse`, which builds one from its `repr`."""

from typing import TYPE_CHECKING

from serverstrategy.late_names import late_names as _late_names

if TYPE_CHECKING:
    from ._restarts import CrashLoopError, WorkerStartError
    from .fallback import Fallback
    from .forking import Forking
    from .limit import Limit
    from .parsing import parse
    from .per_client import PerClient
    from .prefork import Prefork
    from .sizing import Adaptive, Fixed, Sizing
    from .synchronous import Synchronous
    from .thread_pool import ThreadPool
    from .threaded import Threaded
    from .worker import Worker
else:
    # Each is imported when it is asked for: what a program has loaded, each of its forks copies.
    _MODULES = {
        "Adaptive": ".sizing",
        "CrashLoopError": "._restarts",
        "Fallback": ".fallback",
        "Fixed": ".sizing",
        "Forking": ".forking",
        "Limit": ".limit",
        "PerClient": ".per_client",
        "Prefork": ".prefork",
        "Sizing": ".sizing",
        "Synchronous": ".synchronous",
        "ThreadPool": ".thread_pool",
        "Threaded": ".threaded",
        "Worker": ".worker",
        "WorkerStartError": "._restarts",
        "parse": ".parsing",
    }

    __getattr__, __dir__ = _late_names(globals(), _MODULES)


__all__ = [
    "Adaptive",
    "CrashLoopError",
    "Fallback",
    "Fixed",
    "Forking",
    "Limit",
    "PerClient",
    "Prefork",
    "Sizing",
    "Synchronous",
    "ThreadPool",
    "Threaded",
    "Worker",
    "WorkerStartError",
    "parse",
]
