"""What the stages of the app return to each other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from edge_kit.android.summary import ApkSummary
from edge_kit.build.files import SealedFile
from edge_kit.stages.results import Role

APK = "edge-ocr.apk"


@dataclass(frozen=True)
class Resources:
    """An APK without code, the numbers of its resources, and the rules that keep the components it names."""

    base: SealedFile
    r_java: SealedFile
    rules: SealedFile


@dataclass(frozen=True)
class Classes:
    """A jar of classes for each of the app's modules, and the numbers of the resources that they were compiled with."""

    jars: tuple[SealedFile, ...]
    r_java: SealedFile


@dataclass(frozen=True)
class Libraries:
    """Native libraries by their names in the APK, their compressed streams where the APK has them compressed (so
    packaging after a new model is quick), and Paddle Lite's jar where the app has its runtime.
    """

    files: Mapping[str, SealedFile]
    packed: Mapping[str, SealedFile]
    lite_jar: SealedFile | None


@dataclass(frozen=True)
class Dex:
    """The classes in Android's bytecode."""

    file: SealedFile
    classes: int
    methods: int
    version: str


@dataclass(frozen=True)
class AppModels:
    """The ONNX files of the OpenCV engine, and the roles whose file is the unquantised model's."""

    onnx: Mapping[Role, SealedFile]
    stand_ins: tuple[Role, ...]


@dataclass(frozen=True)
class Assets:
    """A folder with the assets by their names."""

    folder: Path
    files: int


@dataclass(frozen=True)
class Packaged:
    """The signed app."""

    apk: SealedFile
    summary: ApkSummary
    certificate: str
    stand_ins: tuple[Role, ...]
