"""What differs between operating systems: usable cores, and programs that end together with what they started."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import suppress


def available_cores() -> int:
    """Return how many cores this process may use: those of its affinity where the system has one, else all; >= 1."""
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity is not None else os.cpu_count() or 1


def default_workers(threads: int) -> int:
    """Return how many worker processes share that many threads: one for two threads, two where there are but two."""
    return min(max(2, threads // 2), threads)


def end_group(process: subprocess.Popen[bytes]) -> None:
    """Kill a program that was started with ``start_new_session=True``, with all it started, and reap it.

    Does nothing when it has ended. Windows knows no sessions: there ``taskkill`` follows the tree of processes; where
    neither is at hand the program alone is killed.
    """
    if process.poll() is not None:
        return
    if hasattr(os, "killpg"):
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    else:
        if sys.platform == "win32":
            tree = ["taskkill", "/F", "/T", "/PID", str(process.pid)]
            with suppress(OSError):
                subprocess.run(tree, capture_output=True, check=False)
        process.kill()
    process.wait()
