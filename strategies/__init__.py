"""The strategies in the box, and `parse`, which builds one from its `repr`."""

from .fallback import Fallback
from .forking import Forking
from .limit import Limit
from .parsing import parse
from .per_client import PerClient
from .prefork import Prefork
from .synchronous import Synchronous
from .thread_pool import ThreadPool
from .threaded import Threaded

__all__ = [
    "Fallback",
    "Forking",
    "Limit",
    "PerClient",
    "Prefork",
    "Synchronous",
    "ThreadPool",
    "Threaded",
    "parse",
]
