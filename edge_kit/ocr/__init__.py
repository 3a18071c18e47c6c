"""The OCR pipeline: image -> boxes -> lines -> text, by the rules of one specification profile.

In: BGR images and ``run(tensor)`` callables. Out: ``OcrResult``. Knows no engine.
"""
