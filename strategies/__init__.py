"""The strategies in the box, and `parse`, which builds one from its `repr`."""

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
