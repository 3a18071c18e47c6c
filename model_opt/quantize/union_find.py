"""Disjoint sets of variable names (union-find)."""

from __future__ import annotations

FIXED = "1"
"""A set with this name in it must stay as it is. No variable of a program is called so."""


class UnionFind:
    """Disjoint sets of names; each name starts in its own set."""

    def __init__(self) -> None:
        self._parent: dict[str, str] = {}

    def find(self, name: str) -> str:
        """Return the representative of the set of ``name``."""
        while (above := self._parent.setdefault(name, name)) != name:
            name = above
        return name

    def join(self, *names: str) -> None:
        """Join the sets of ``names``; the smallest name is the representative."""
        for name in names[1:]:
            a, b = sorted((self.find(names[0]), self.find(name)))
            self._parent[b] = a

    def fix(self, *names: str) -> None:
        """Let the sets of ``names`` stay as they are."""
        self.join(FIXED, *names)

    def fixed(self, name: str) -> bool:
        """Return whether the set of ``name`` must stay as it is."""
        return self.find(name) == self.find(FIXED)
