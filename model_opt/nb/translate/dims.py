"""Sizes of tensors that are known as numbers or only as what they come from (height and width of the input).

A symbol stands for one rule applied to known sizes; the same rule on the same sizes gives the same symbol, so equal
symbols are equal sizes at every input. Different symbols may still be equal sizes: nothing here claims otherwise.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

LARGEST = (1 << 31) - 1
"""No tensor of a model that a device runs has a side beyond this."""


@dataclass(frozen=True, slots=True)
class Sym:
    """A size that depends on the input. ``text`` names an input's side, other symbols are numbered."""

    index: int
    text: str

    def __str__(self) -> str:
        return self.text


Dim = int | Sym
Shape = tuple[Dim, ...]


class DimError(ValueError):
    """A size that no tensor can have, or that only a run would tell."""


class Dims:
    """The symbols of one model, by the rule that makes them."""

    def __init__(self) -> None:
        self._known: dict[tuple[object, ...], Sym] = {}

    def named(self, name: str) -> Sym:
        """Return the symbol of an input's side."""
        return self._symbol(("input", name), name)

    def _symbol(self, rule: tuple[object, ...], text: str | None = None) -> Sym:
        found = self._known.get(rule)
        if found is None:
            index = len(self._known)
            found = self._known[rule] = Sym(index, text or f"d{index}")
        return found

    def windows(self, size: Dim, add: int, step: int) -> Dim:
        """Return ``(size + add) // step + 1``: the places of a window. ``DimError`` when there is none."""
        if isinstance(size, Sym):
            return size if (add, step) == (-1, 1) else self._symbol(("windows", size, add, step))
        return checked((size + add) // step + 1 if size + add >= 0 else 0)

    def plus(self, size: Dim, add: int) -> Dim:
        """Return ``size + add``."""
        return self.windows(size, add - 1, 1)

    def times(self, size: Dim, factor: int) -> Dim:
        """Return ``size * factor``."""
        return self.product((size, factor))

    def quotient(self, size: Dim, by: int) -> Dim:
        """Return ``ceil(size / by)``."""
        return self.windows(size, -1, by)

    def total(self, sizes: Sequence[Dim]) -> Dim:
        """Return the sum of sizes."""
        number = sum(size for size in sizes if isinstance(size, int))
        symbols = [size for size in sizes if isinstance(size, Sym)]
        if not symbols:
            return checked(number)
        if len(symbols) == 1:
            return self.plus(symbols[0], number)
        return self._symbol(("sum", number, *sorted(symbol.index for symbol in symbols)))

    def product(self, sizes: Sequence[Dim]) -> Dim:
        """Return the product of sizes."""
        number = math.prod(size for size in sizes if isinstance(size, int))
        symbols = [size for size in sizes if isinstance(size, Sym)]
        if not symbols:
            return checked(number)
        if number == 1 and len(symbols) == 1:
            return symbols[0]
        return self._symbol(("product", checked(number), *sorted(symbol.index for symbol in symbols)))

    def ratio(self, sizes: Sequence[Dim], by: Sequence[Dim]) -> Dim:
        """Return the product of ``sizes`` divided by the product of ``by``; ``DimError`` when it cannot be whole."""
        above = Counter(size for size in sizes if isinstance(size, Sym))
        below = Counter(size for size in by if isinstance(size, Sym))
        number = math.prod(size for size in sizes if isinstance(size, int))
        divisor = math.prod(size for size in by if isinstance(size, int))
        rest, wanted = list((above - below).elements()), list((below - above).elements())
        if not wanted and number % divisor == 0:
            return self.product((number // divisor, *rest))
        if not above and not wanted:
            raise DimError(f"{number} elements cannot be arranged in rows of {divisor}")
        top, bottom = self.product((number, *rest)), self.product((divisor, *wanted))
        return self._symbol(("ratio", top, bottom))

    def broadcast(self, a: Dim, b: Dim) -> Dim:
        """Return the size that two operands have together; ``DimError`` when they do not fit."""
        if a == b or b == 1:
            return a
        if a == 1:
            return b
        if isinstance(a, int) and isinstance(b, int):
            raise DimError(f"sizes {a} and {b} do not go together")
        if isinstance(a, int) or isinstance(b, int):
            return a if isinstance(a, int) else b
        return self._symbol(("broadcast", *sorted((a.index, b.index))))

    def cut(self, size: Sym, start: int, end: int) -> Dim:
        """Return the length of a slice of an unknown size."""
        if start >= 0 and end >= LARGEST:
            return self.plus(size, -start)
        return self._symbol(("cut", size, start, end))


def checked(size: int) -> int:
    """Return ``size`` if a tensor can have it, else raise ``DimError``."""
    if not 1 <= size <= LARGEST:
        raise DimError(f"a size of {size}")
    return size


def known(shape: Sequence[Dim]) -> tuple[int, ...] | None:
    """Return the sizes if all of them are numbers, else None."""
    sizes = tuple(size for size in shape if isinstance(size, int))
    return sizes if len(sizes) == len(shape) else None


def show(shape: Sequence[Dim]) -> str:
    """Return a shape for messages: ``[1, 3, h, w]``."""
    return "[" + ", ".join(map(str, shape)) + "]"
