"""The command line as on a system without POSIX's own modules: run as a script with the arguments of ``edge-kit``.

Hides what Windows lacks and the kit might reach for. A text file opened without an encoding is an error, since its
default differs between systems (start with ``-X warn_default_encoding``).
"""

from __future__ import annotations

import ctypes
import os
import sys
import warnings

MODULES = ("fcntl", "resource", "pwd", "grp", "termios", "tty", "pty")
FUNCTIONS = ("killpg", "sched_getaffinity", "getuid", "setsid", "getpgid", "nice", "O_DIRECTORY")


class NoCdll(ctypes.CDLL):
    """Loads libraries by name only: Windows has no library of the program itself."""

    def __init__(self, name, *arguments, **options):
        if name is None:
            raise TypeError("bad argument type for built-in operation")
        super().__init__(name, *arguments, **options)


def _hide_from_the_kit(name: str) -> None:
    """Fail for the kit's own code only: here filelock takes its way for POSIX, which needs the function."""
    real = getattr(os, name)

    def call():
        if sys._getframe(1).f_globals["__name__"].split(".")[0] in ("edge_kit", "model_opt"):
            raise AttributeError(f"module 'os' has no attribute {name!r}")
        return real()

    setattr(os, name, call)


def main() -> None:
    for name in MODULES:
        sys.modules[name] = None  # type: ignore[assignment]  # makes its import fail
    for name in FUNCTIONS:
        delattr(os, name)
    _hide_from_the_kit("geteuid")
    ctypes.CDLL = NoCdll  # type: ignore[misc]
    warnings.filterwarnings("error", category=EncodingWarning, module=r"(edge_kit|model_opt)(\..*)?$")
    from edge_kit.cli.app import main as edge_kit

    edge_kit()


if __name__ == "__main__":
    main()
