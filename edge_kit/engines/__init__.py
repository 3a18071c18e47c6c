"""Inference engines behind one interface: ``run(float32 NCHW) -> float32``.

In: model files and device options. Out: tensors, checked for NaN. No engine knows OCR.
"""
