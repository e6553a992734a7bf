"""Why something could not be reached, in a few words: libraries wrap what the system said in layers of their own."""

import os
import socket

_DEEPEST = 5


def reason(error: BaseException) -> str:
    """What the system said, where it said anything; else what the library says."""
    inner: BaseException | None = error
    for _ in range(_DEEPEST):
        if inner is None:
            break
        if isinstance(inner, socket.gaierror):
            return str(inner.strerror)
        if isinstance(inner, OSError) and inner.errno is not None and inner.errno > 0:
            return os.strerror(inner.errno)
        inner = getattr(inner, "os_error", None) or inner.__cause__ or inner.__context__
    return str(error) or type(error).__name__
