"""Shows what is in a Paddle Lite .nb file and runs it on zeros: python inspect_nb.py model.nb 1,3,48,320"""

import sys
from pathlib import Path

import numpy as np

from edge_kit.engines.base import EngineOptions
from edge_kit.engines.nb import NbEngine
from model_opt.nb import inspect_nb, read_nb

file, shape = Path(sys.argv[1]), [int(side) for side in sys.argv[2].split(",")]
summary = inspect_nb(read_nb(file))
print(f"{file.name}: {summary.place}, {summary.ops} operators, {summary.param_bytes:,} bytes of parameters")
output = NbEngine(file, EngineOptions()).run(np.zeros(shape, np.float32))
print(f"output {'x'.join(map(str, output.shape))}, from {output.min():.3g} to {output.max():.3g}")
