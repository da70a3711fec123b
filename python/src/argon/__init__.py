"""Call functions on a pool of machines as if they were local.

    import argon

    with argon.Client("mgrhost:8000") as client:
        print(client.queue(pow, 2, 10))

`Client` is the whole pool as an object; `Executor` is the same as a `concurrent.futures.Executor`; `argon.aio` is for
asyncio; `import argon.joblib` gives joblib and scikit-learn the backend "argon".
"""

from ._version import VERSION as __version__
from .client import Client, current_client, local
from .deferred import Deferred
from .errors import (
    Cancelled,
    CannotTravel,
    Closed,
    Died,
    Error,
    Lost,
    ModuleChanged,
    OptionError,
    Rejected,
    RemoteTraceback,
    TaskError,
    TimedOut,
    Unreachable,
)
from .executor import Executor, ExecutorFuture
from .remote import perl, perl_class, python
from .shared import Shared

__all__ = [
    "Cancelled",
    "CannotTravel",
    "Client",
    "Closed",
    "Deferred",
    "Died",
    "Error",
    "Executor",
    "ExecutorFuture",
    "Lost",
    "ModuleChanged",
    "OptionError",
    "Rejected",
    "RemoteTraceback",
    "Shared",
    "TaskError",
    "TimedOut",
    "Unreachable",
    "__version__",
    "current_client",
    "local",
    "perl",
    "perl_class",
    "python",
]
