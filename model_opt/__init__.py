"""Everything about models: fetch, read, convert, inspect.

In: rows of ``configs/models.yaml`` or a user's own model. Out: checked model files and Paddle Lite ``.nb`` files.
Knows nothing of images, OCR, Android or ``edge_kit``.
"""
