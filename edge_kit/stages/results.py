"""What stages return to each other: frozen values with the files that a stage left in its folder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

from edge_kit.build.files import SealedFile

Role = Literal["det", "rec"]
ROLES: tuple[Role, ...] = ("det", "rec")
PROGRAM, PARAMETERS, DICTIONARY = "inference.pdmodel", "inference.pdiparams", "dict.txt"

Fact: TypeAlias = int | float | str | bool | None


@dataclass(frozen=True)
class Model:
    """A model: its program, and its parameters where they have a file of their own."""

    program: SealedFile
    parameters: SealedFile | None

    @property
    def program_file(self) -> Path:
        """The program's file."""
        return self.program.path

    @property
    def params_file(self) -> Path | None:
        """The parameters' file, None for a program that holds them."""
        return self.parameters.path if self.parameters else None


@dataclass(frozen=True)
class Fetched(Model):
    """A model as it was published: its name, where it came from, and the recogniser's dictionary."""

    name: str
    source: str
    dictionary: SealedFile | None
    warnings: tuple[str, ...]

    @property
    def characters(self) -> Path:
        """The dictionary's file; ``ValueError`` for a model that has none."""
        if self.dictionary is None:
            raise ValueError(f"model {self.name} has no dictionary")
        return self.dictionary.path


@dataclass(frozen=True)
class Optimised(Model):
    """A model with fewer operators: what each pass did that changed anything, and how often a pass left something."""

    ops_before: int
    ops_after: int
    passes: Mapping[str, Mapping[str, int]]
    left: int


@dataclass(frozen=True)
class Quantised(Model):
    """A model prepared for fewer bits: by which algorithm, on how many inputs, and its notes on each layer (JSON)."""

    algorithm: str
    inputs: int
    totals: Mapping[str, Fact]
    notes: SealedFile


@dataclass(frozen=True)
class Shipped:
    """A ``.nb`` file as a bundle holds it."""

    nb: SealedFile


@dataclass(frozen=True)
class ParamTotal:
    """The parameters of one element type."""

    count: int
    bytes: int


@dataclass(frozen=True)
class Converted(Shipped):
    """A ``.nb`` file and what ``inspect_nb`` reads in it; ``warnings`` are for the user."""

    opt_version: str
    converter: str
    place: str
    precision: str
    ops: int
    io_copy: int
    calib: int
    layout: int
    param_bytes: int
    params: Mapping[str, ParamTotal]
    op_histogram: Mapping[str, int]
    warnings: tuple[str, ...]


@dataclass(frozen=True)
class Configured:
    """What a device reads beside the models."""

    runtime: SealedFile
    spec: SealedFile
    labels: SealedFile


@dataclass(frozen=True)
class Verdict:
    """What the gates say: a sentence for each failed gate, the images that miss those gates most, and a report
    where a build may end here.
    """

    failed: tuple[str, ...]
    worst: tuple[str, ...]
    report: SealedFile | None
