"""Which wheels run under which interpreter: the pinned versions of paddlelite and of the numpy beside it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

from model_opt.wheels import WheelPin

PLATFORM = "manylinux2014_x86_64"


@dataclass(frozen=True)
class ToolPins:
    """The wheels for one version of CPython ("3.7"); ``abi`` is the start of its SOABI."""

    python: str
    abi: str
    opt: WheelPin
    numpy: WheelPin

    @property
    def opt_version(self) -> str:
        """The version of paddlelite, as its wheel spells it (``2.14rc0``)."""
        return self.opt.version

    @property
    def key(self) -> str:
        """A folder name that changes with every change of the pins."""
        sums = hashlib.sha256(f"{self.opt.sha256}{self.numpy.sha256}".encode()).hexdigest()
        return f"paddlelite-{self.opt_version}-cp{self.python.replace('.', '')}-{sums[:12]}"


def _pins(python: str, abi: str, opt: tuple[str, str], numpy: tuple[str, str]) -> ToolPins:
    return ToolPins(
        python,
        abi,
        WheelPin("paddlelite", opt[0], opt[1], python_version=python, platform=PLATFORM),
        WheelPin("numpy", numpy[0], numpy[1], python_version=python, platform=PLATFORM),
    )


PREFERRED = ("3.7",)
"""The interpreters of the release that supports PP-OCRv4 officially."""
FALLBACK = ("3.10", "3.9", "3.8")
"""The interpreters of the last release before it; models need ``swish.beta`` written out for it."""

PINS: Mapping[str, ToolPins] = {
    pins.python: pins
    for pins in (
        _pins(
            "3.7",
            "cpython-37m-",
            ("2.14rc0", "a82ec8b942e4409ee227f8470c38af1955d2477bc8a4f12ddb77779b266afa12"),
            ("1.21.6", "a6be4cb0ef3b8c9250c19cc122267263093eee7edd4e3fa75395dfda8c17a8e2"),
        ),
        _pins(
            "3.8",
            "cpython-38-",
            ("2.13rc0", "8a42fe8737d3ade116264fd85b9f24a2bbe42095882e0a44a4ec7f0104fcc196"),
            ("1.24.4", "dd80e219fd4c71fc3699fc1dadac5dcf4fd882bfc6f7ec53d30fa197b8ee22dc"),
        ),
        _pins(
            "3.9",
            "cpython-39-",
            ("2.13rc0", "a92974188b903103b64700745b043619845e56d5500c5985bc4498e7b136c87a"),
            ("1.24.4", "d11efb4dbecbdf22508d55e48d9c8384db795e1b7b51ea735289ff96613ff74d"),
        ),
        _pins(
            "3.10",
            "cpython-310-",
            ("2.13rc0", "b1e6081c4154e50479426df9c7390c0d1d99dd9d832a270d1fe925894768fb62"),
            ("1.24.4", "7ffe43c74893dbf38c2b0a1f5428760a1a9c98285553c89e12d70a96a7f3a4d6"),
        ),
    )
}
