"""Lambdas to classes: what compilers did before Java 8, done to a jar, since Android has no LambdaMetafactory.

The Kotlin compiler is told to make classes itself, but its library has been built with invokedynamic since 2.1.
"""

from __future__ import annotations

from pathlib import Path

from edge_kit.android.tools import Tick, require_tools, run_tool

PROGRAM = Path(__file__).with_name("Desugar.java")


def desugar(classes: Path, asm: Path, out: Path, tick: Tick | None = None) -> None:
    """Write the jar ``classes`` to ``out`` with each lambda as a class of its own, without compilers' annotations.

    ``asm`` is the class path of ASM. Raises ``ToolFailed`` for another invokedynamic than that of a lambda.
    """
    java = require_tools(("java",))["java"]
    run_tool(
        "turn lambdas into classes",
        [java, "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-cp", asm, PROGRAM, classes, out],
        hint="compile Kotlin with -Xstring-concat=inline, and Java for 1.8",
        tick=tick,
    )
