"""A model's conversion from the cache, made anew when it is missing, damaged or by another converter."""

from __future__ import annotations

import functools
from pathlib import Path

from model_opt.convert.options import PLACE_IN_FILE, Converter, ConvertOptions, FingerprintedModel
from model_opt.fs import sha256_bytes
from model_opt.nb import NbError, guard_place, guard_version, read_nb
from model_opt.resources import cache_dir


def converted(model: FingerprintedModel, options: ConvertOptions, converter: Converter) -> Path:
    """Return the ``.nb`` file of an exported model, from the cache if it is undamaged there.

    Raises what ``Converter.convert_export`` raises.
    """
    made_by = f"{converter.name}-{converter.opt_version}"
    path = cache_dir() / "converted" / f"{model.fingerprint[:32]}-{made_by}-{options.label}-{_code()[:12]}.nb"
    try:
        found = read_nb(path)
        guard_place(found, PLACE_IN_FILE[options.place])
        guard_version(found, converter.opt_version)
    except NbError:
        converter.convert_export(model, options, path)
    return path


@functools.cache
def _code() -> str:
    """Return the sum of ``model_opt``'s sources: all that may decide the bytes of a conversion, and a little more."""
    paths = sorted(Path(__file__).resolve().parent.parent.rglob("*.py"))
    return sha256_bytes(b"".join(path.read_bytes() for path in paths))
