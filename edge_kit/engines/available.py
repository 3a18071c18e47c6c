"""What the installed packages offer: ONNX Runtime's execution providers, Paddle's devices."""

from __future__ import annotations

from edge_kit.engines.devices import TABLE
from edge_kit.engines.server import paddle_devices


def offered(engine: str) -> tuple[str, ...]:
    """Return the providers or device names that an engine has here; those of an engine that needs no package anyway."""
    if engine == "onnx":
        import onnxruntime

        return tuple(onnxruntime.get_available_providers())
    if engine == "server":
        try:
            import cv2  # noqa: F401  paddle before cv2 crashes on the first PNG
            import paddle
        except ImportError:
            return ()
        return paddle_devices(paddle)
    return tuple(way.needs for way in TABLE if way.engine == engine)
