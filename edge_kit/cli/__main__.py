"""``python -m edge_kit.cli``: the same as the console script ``edge-kit``."""

from edge_kit.cli.app import main

main()
