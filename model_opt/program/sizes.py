"""Sizes of tensors that are numbers, or known only as what they come from (height and width of an input).

A symbol stands for one rule applied to known sizes; the same rule on the same sizes gives the same symbol, so equal
symbols are equal sizes at every input. Different symbols may still be equal sizes: nothing here claims otherwise.
Products keep their factors, so what was multiplied can be divided again.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

LARGEST = (1 << 31) - 1
"""No tensor of a model that a device runs has a side beyond this."""


@dataclass(frozen=True, slots=True)
class Symbol:
    """A size that depends on the input. ``text`` names an input's side, other symbols are numbered.

    A product is ``number`` times ``factors``; other symbols have no factors.
    """

    index: int
    text: str
    number: int = 1
    factors: tuple[Symbol, ...] = ()

    def __str__(self) -> str:
        return self.text


Size = int | Symbol
Shape = tuple[Size, ...]


class SizeError(ValueError):
    """A size that no tensor can have."""


class Sizes:
    """The symbols of one program, by the rules that make them."""

    def __init__(self) -> None:
        self._known: dict[tuple[object, ...], Symbol] = {}

    def named(self, name: str) -> Symbol:
        """Return the symbol of an input's side."""
        return self._symbol(("input", name), name)

    def _symbol(
        self, rule: tuple[object, ...], text: str | None = None, number: int = 1, factors: tuple[Symbol, ...] = ()
    ) -> Symbol:
        found = self._known.get(rule)
        if found is None:
            index = len(self._known)
            found = self._known[rule] = Symbol(index, text or f"d{index}", number, factors)
        return found

    def windows(self, size: Size, add: int, step: int) -> Size:
        """Return ``(size + add) // step + 1``: the positions of a window. ``SizeError`` when there is none."""
        if isinstance(size, Symbol):
            return size if (add, step) == (-1, 1) else self._symbol(("windows", size, add, step))
        return checked((size + add) // step + 1 if size + add >= 0 else 0)

    def plus(self, size: Size, add: int) -> Size:
        """Return ``size + add``."""
        return self.windows(size, add - 1, 1)

    def times(self, size: Size, factor: int) -> Size:
        """Return ``size * factor``."""
        return self.product((size, factor))

    def scaled(self, size: Size, factor: float) -> Size:
        """Return ``size * factor`` without its fraction."""
        return self._symbol(("scaled", size, factor)) if isinstance(size, Symbol) else int(size * factor)

    def quotient(self, size: Size, by: int) -> Size:
        """Return ``ceil(size / by)``."""
        return self.windows(size, -1, by)

    def total(self, sizes: Sequence[Size]) -> Size:
        """Return the sum of sizes."""
        number = sum(size for size in sizes if isinstance(size, int))
        symbols = [size for size in sizes if isinstance(size, Symbol)]
        if not symbols:
            return checked(number)
        if len(symbols) == 1:
            return self.plus(symbols[0], number)
        return self._symbol(("sum", number, *sorted(symbol.index for symbol in symbols)))

    def product(self, sizes: Sequence[Size]) -> Size:
        """Return the product of sizes."""
        number, symbols = _factors(sizes)
        if not symbols:
            return checked(number)
        if number == 1 and symbols.total() == 1:
            return next(iter(symbols))
        factors = tuple(sorted(symbols.elements(), key=lambda symbol: symbol.index))
        return self._symbol(("product", checked(number), *factors), None, number, factors)

    def ratio(self, sizes: Sequence[Size], by: Sequence[Size]) -> Size:
        """Return the product of ``sizes`` divided by the product of ``by``.

        ``SizeError`` when the quotient is known to be no integer.
        """
        (number, above), (divisor, below) = _factors(sizes), _factors(by)
        if divisor == 0:
            raise SizeError("a division by a size of 0")
        rest, wanted = above - below, below - above
        if not wanted and number % divisor == 0:
            return self.product((number // divisor, *rest.elements()))
        if not above and not wanted:
            raise SizeError(f"{number} elements cannot be arranged in rows of {divisor}")
        top, bottom = self.product((number, *rest.elements())), self.product((divisor, *wanted.elements()))
        return self._symbol(("ratio", top, bottom))

    def broadcast(self, a: Size, b: Size) -> Size:
        """Return the size that two operands have together; ``SizeError`` when they do not fit."""
        if a == b or b == 1:
            return a
        if a == 1:
            return b
        if isinstance(a, int) and isinstance(b, int):
            raise SizeError(f"sizes {a} and {b} do not go together")
        if isinstance(a, int) or isinstance(b, int):
            return a if isinstance(a, int) else b
        return self._symbol(("broadcast", *sorted((a.index, b.index))))

    def cut(self, size: Symbol, start: int, end: int) -> Size:
        """Return the length of a slice of an unknown size."""
        if start >= 0 and end >= LARGEST:
            return self.plus(size, -start)
        return self._symbol(("cut", size, start, end))

    def reshaped(self, source: Shape, target: Sequence[Size]) -> Shape:
        """Return the shape that ``target`` gives to a tensor of shape ``source``: 0 copies a dimension, -1 is inferred.

        Raises ``SizeError`` for a target that no tensor of that shape can take.
        """
        sizes: list[Size] = list(target)
        for i, size in enumerate(sizes):
            if size == 0:
                if i >= len(source):
                    raise SizeError(f"side {i} is to be copied from {len(source)} dimensions")
                sizes[i] = source[i]
        open_sides = [i for i, size in enumerate(sizes) if size == -1]
        if len(open_sides) > 1 or any(isinstance(size, int) and size < -1 for size in sizes):
            raise SizeError("at most one side may be left open")
        left = self.ratio(source, [size for size in sizes if size != -1])
        if open_sides:
            sizes[open_sides[0]] = left
        elif isinstance(left, int) and left != 1:
            raise SizeError("the numbers of elements differ")
        return tuple(sizes)


def _factors(sizes: Sequence[Size]) -> tuple[int, Counter[Symbol]]:
    """Return the number and the symbols, themselves no products, that the product of ``sizes`` is made of."""
    number = math.prod(size.number if isinstance(size, Symbol) else size for size in sizes)
    symbols: Counter[Symbol] = Counter()
    for size in sizes:
        if isinstance(size, Symbol):
            symbols.update(size.factors or (size,))
    return number, symbols


def free_sides(source: Shape, shape: Shape) -> tuple[list[int], list[int]]:
    """Return which sides of ``shape`` are symbols, and which of these differ from the same position in ``source``.

    A reshape with a constant target can copy dimensions that stay, and infer one other.
    """
    free = [at for at, size in enumerate(shape) if isinstance(size, Symbol)]
    return free, [at for at in free if at >= len(source) or source[at] != shape[at]]


def reshape_target(shape: Shape, inferred: Sequence[int]) -> tuple[int, ...]:
    """Return ``shape`` as the constant target of a reshape: -1 at the ``inferred`` side, 0 at other symbols."""
    return tuple(size if isinstance(size, int) else -1 if at in inferred else 0 for at, size in enumerate(shape))


def checked(size: int) -> int:
    """Return ``size`` if a tensor can have it, else raise ``SizeError``."""
    if not 1 <= size <= LARGEST:
        raise SizeError(f"a size of {size}")
    return size


def known(shape: Sequence[Size]) -> tuple[int, ...] | None:
    """Return the sizes if all of them are numbers, else None."""
    sizes = tuple(size for size in shape if isinstance(size, int))
    return sizes if len(sizes) == len(shape) else None


def show(shape: Sequence[Size]) -> str:
    """Return a shape for messages: ``[1, 3, h, w]``."""
    return "[" + ", ".join(map(str, shape)) + "]"
