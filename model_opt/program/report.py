"""The report of one pass over a program."""

from __future__ import annotations

from dataclasses import dataclass

from model_opt.program.model import Model


@dataclass(frozen=True, slots=True)
class Left:
    """Something the pass could not change: the output of the operator, and the reason."""

    where: str
    why: str


@dataclass(frozen=True, slots=True)
class PassReport:
    """One run of one pass: operators of the main block before and after, changes with counts, and what was left."""

    name: str
    ops_before: int
    ops_after: int
    done: tuple[tuple[str, int], ...] = ()
    left: tuple[Left, ...] = ()

    @property
    def changed(self) -> bool:
        """True when the pass changed anything."""
        return bool(self.done)

    def to_json(self) -> dict[str, object]:
        """Return the report as plain dicts, lists, strings and numbers."""
        return {
            "name": self.name,
            "ops_before": self.ops_before,
            "ops_after": self.ops_after,
            "done": dict(self.done),
            "left": [{"where": left.where, "why": left.why} for left in self.left],
        }


def op_count(model: Model) -> int:
    """Return the number of operators in the main block, ``feed`` and ``fetch`` included."""
    return len(model.program.main.ops)
