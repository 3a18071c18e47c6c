"""Random numbers for made-up models: the same in every test, whatever ran before it."""

import numpy as np

_MADE: list[tuple[np.random.Generator, object]] = []


def generator(seed: int) -> np.random.Generator:
    """Return a generator for a module's tests, which each test finds at its first number."""
    made = np.random.default_rng(seed)
    _MADE.append((made, made.bit_generator.state))
    return made


def restart() -> None:
    """Take every generator back to its first number."""
    for made, start in _MADE:
        made.bit_generator.state = start
