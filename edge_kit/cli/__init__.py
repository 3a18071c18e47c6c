"""The command line: parses arguments, calls the rooms, prints what they answer.

In: arguments. Out: tables, progress and messages on a terminal, JSON for scripts, an exit code.
"""

from edge_kit.cli.app import main

__all__ = ["main"]
