"""The model zoo. In: rows of ``configs/models.yaml``, or the path of a user's own model.

Out: ``ModelFiles``, checked files in the cache (or where the user has them) and what a caller must know of them.
"""

from __future__ import annotations

from model_opt.errors import SourceUnavailable
from model_opt.zoo.fetching import fetch, verify
from model_opt.zoo.files import FORMATS, ModelFiles, ZooError
from model_opt.zoo.operators import check_operators
from model_opt.zoo.own import DOWNLOAD_FIRST, check_model, is_address, open_model, with_dictionary
from model_opt.zoo.rows import FolderSource, ModelSet, UrlSource, WheelSource, Zoo, load_zoo

__all__ = [
    "DOWNLOAD_FIRST",
    "FORMATS",
    "FolderSource",
    "ModelFiles",
    "ModelSet",
    "SourceUnavailable",
    "UrlSource",
    "WheelSource",
    "Zoo",
    "ZooError",
    "check_model",
    "check_operators",
    "fetch",
    "is_address",
    "load_zoo",
    "open_model",
    "verify",
    "with_dictionary",
]
