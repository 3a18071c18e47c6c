"""``edge-kit ocr`` with the words of PaddleX and PaddleOCR: they are taken out before its own options are parsed."""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import Any

import typer
from typer.core import TyperCommand

WORDS_GIVEN = "edge_kit.words"
"""Where the words of a call are kept in its context: name, with underscores, -> value."""

_TRUE, _FALSE = ("true", "yes", "t", "y", "1"), ("false", "no", "f", "n", "0")
"""PaddleOCR's spellings (``paddleocr/_utils/cli.py``), and their opposites."""


class OcrCommand(TyperCommand):
    """A command that understands the words of ``edge_kit.pipeline_files.words``, with underscores or hyphens."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Take the words out of ``args``, then parse what is left as the command's own."""
        named = [name for param in self.params for name in (*param.opts, *param.secondary_opts)]
        own = {name for name in named if name.startswith("--")}
        left, words = split_words(args, own | set(ctx.help_option_names))
        ctx.meta[WORDS_GIVEN] = words
        _refuse_empty(left)
        parsed: list[str] = super().parse_args(ctx, left)
        return parsed


def split_words(args: Sequence[str], own: set[str]) -> tuple[list[str], dict[str, Any]]:
    """Return the arguments that are the command's ``own``, hyphened, and the words of other tools with their values.

    ``--input`` may be given several times; its value is a list. Raises ``typer.BadParameter`` for a bad value.
    """
    if not any(arg == "-i" or (arg.startswith("--") and arg.partition("=")[0] not in own) for arg in args):
        return list(args), {}  # --help is quick: the table of words is not loaded
    from edge_kit.pipeline_files.words import INPUT, WORDS

    queue, left, words = list(args), list[str](), dict[str, Any]()
    while queue:
        token = queue.pop(0)
        if token == "--":
            return [*left, token, *queue], words
        option, equals, value = token.partition("=")
        name = "input" if option == "-i" else option[2:].replace("-", "_") if option.startswith("--") else ""
        hyphened = f"--{name.replace('_', '-')}"
        if hyphened in own:
            left.append(f"{hyphened}{equals}{value}")
        elif name in WORDS:
            found = _value(name, WORDS[name].kind, value if equals else None, queue)
            words[name] = [*words.get(name, ()), found] if WORDS[name].setting == INPUT else found
        else:
            _suggest(option, name, own)
            left.append(token)
    return left, words


def _suggest(option: str, name: str, own: set[str]) -> None:
    """Raise ``typer.BadParameter`` for an unknown option that resembles a word of other tools."""
    from edge_kit.pipeline_files.words import WORDS

    known = {*WORDS, *(one[2:].replace("-", "_") for one in own)}
    like = get_close_matches(name, known, n=1, cutoff=0.8) if name else []
    if like:
        raise typer.BadParameter(f"there is no option {option}; did you mean --{like[0]}?")


def _refuse_empty(args: Sequence[str]) -> None:
    """Raise ``typer.BadParameter`` for an option with an empty value, as an unset variable of the shell gives it."""
    for before, arg in zip(["", *args], args, strict=False):
        option, equals, value = arg.partition("=")
        if before == "--":
            return
        if arg.startswith("--") and equals and not value:
            raise typer.BadParameter(f"{option} is empty")
        if not arg and before.startswith("--") and "=" not in before:
            raise typer.BadParameter(f"{before} is empty")


def _value(name: str, kind: str, attached: str | None, queue: list[str]) -> Any:
    """Return the value of a word: what stands behind ``=``, else the next argument, which is taken off the queue."""
    if kind in ("bool", "flag"):
        return _truth(name, attached, queue)
    if kind == "ints" and attached is None:
        return [_number(name, int, _next(name, queue)) for _ in range(3)]
    text = _next(name, queue) if attached is None else attached
    if kind == "ints":
        return [_number(name, int, part) for part in text.split(",")]
    if kind == "literal":
        return _literal(name, text)
    return text if kind == "text" else _number(name, int if kind == "int" else float, text)


def _next(name: str, queue: list[str]) -> str:
    if not queue:
        raise typer.BadParameter(f"--{name} needs a value")
    return queue.pop(0)


def _truth(name: str, attached: str | None, queue: list[str]) -> bool:
    """Return a truth value; a word without one is true, as flags of ``paddlex`` are."""
    if attached is None and queue and queue[0].lower() in _TRUE + _FALSE:
        attached = queue.pop(0)
    if attached is None or attached.lower() in _TRUE:
        return True
    if attached.lower() in _FALSE:
        return False
    raise typer.BadParameter(f"--{name} is True or False, not {attached!r}")


def _number(name: str, kind: type[int] | type[float], text: str) -> int | float:
    try:
        return kind(text)
    except ValueError as error:
        what = "a whole number" if kind is int else "a number"
        raise typer.BadParameter(f"--{name} is {what}, not {text!r}") from error


def _literal(name: str, text: str) -> Mapping[str, Any]:
    """Return a mapping written as Python or JSON writes it."""
    import json

    for read in (ast.literal_eval, json.loads):
        try:
            value = read(text)
        except (ValueError, SyntaxError, RecursionError, MemoryError):
            continue
        if isinstance(value, Mapping):
            return value
    raise typer.BadParameter(f"--{name} is a mapping such as {{'backend': 'openvino'}}, not {text!r}")
