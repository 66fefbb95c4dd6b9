"""
Runs a module for as long as the process that started it lives: `python -m services.operator.bound PARENT MODULE ...`.

A child outlives an operator that is killed by SIGKILL, which can stop nothing any more. Asking who the parent is works
on every system, and whatever thread of the parent made the child; Linux's PR_SET_PDEATHSIG does neither.
"""

import os
import runpy
import signal
import sys
import threading
import time

LOOK_SECONDS = 0.5
"""Between two looks at who the parent is."""
DRAIN_SECONDS_MAX = 30.0
"""How long the module may drain after the parent's death; the broker that it waits for may have gone as well."""
EXIT_ORPHANED = 1


def main() -> None:
    """Run the module that the command line names, with its arguments, as `python -m` would."""
    parent, module, *arguments = sys.argv[1:]
    threading.Thread(target=_end_with, args=(int(parent),), name="parent", daemon=True).start()
    sys.argv = [module, *arguments]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


def _end_with(parent: int) -> None:
    # An orphan is given another parent: init, or the nearest subreaper.
    pause = threading.Event()  # time.sleep fails where libfaketime gives the process a clock of its own
    while os.getppid() == parent:
        pause.wait(LOOK_SECONDS)
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(DRAIN_SECONDS_MAX)
    os._exit(EXIT_ORPHANED)


if __name__ == "__main__":
    main()
