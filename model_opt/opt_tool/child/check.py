"""Load paddlelite and numpy; end well only if both work. Arguments: the folder that holds them."""

import sys

sys.path.insert(0, sys.argv[1])

import numpy  # noqa: E402
from paddlelite.lite import MobileConfig, Opt  # noqa: E402

Opt()
MobileConfig()
numpy.zeros(1, "float32")
