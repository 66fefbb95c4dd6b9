"""
A process that gets no more memory ends at once, as `-XX:+ExitOnOutOfMemoryError` has it.

What meets a MemoryError in a thread, or in a callback of the loop, has no caller to tell: the process would go on with
a part of it dead, or wait for ever for a thread that never began (CPython 3.11's `Thread.start`). Whatever is killed
loses nothing, so it ends instead, and is started again.
"""

import asyncio
import os
import sys
import threading
from typing import Any

EXIT_OUT_OF_MEMORY = 3
STDERR = 2

_TOLD = b"the process gets no more memory, and ends; give it more, or less to do at once\n"


def end_on_memory_error(loop: asyncio.AbstractEventLoop) -> None:
    """End this process by a MemoryError that nobody catches, in a thread, a finalizer, or a callback of *loop*."""
    unraisable, thread_error = sys.unraisablehook, threading.excepthook

    def on_unraisable(met: "sys.UnraisableHookArgs") -> None:
        _end_if(met.exc_type)
        unraisable(met)

    def on_thread_error(met: threading.ExceptHookArgs) -> None:
        _end_if(met.exc_type)
        thread_error(met)

    def on_loop_error(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        _end_if(type(context.get("exception")))
        loop.default_exception_handler(context)

    sys.unraisablehook, threading.excepthook = on_unraisable, on_thread_error
    loop.set_exception_handler(on_loop_error)


def end() -> None:
    """End this process now; nothing is tidied up, as that needs memory too."""
    os.write(STDERR, _TOLD)
    os._exit(EXIT_OUT_OF_MEMORY)


def _end_if(kind: type) -> None:
    if issubclass(kind, MemoryError):
        end()
