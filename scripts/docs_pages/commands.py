"""One page for each command of ``edge-kit``, made of its parser: usage, text, arguments, options and defaults."""

from __future__ import annotations

import inspect
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Union, get_args, get_origin, get_type_hints

import typer

from edge_kit.cli.app import app

PROGRAM = "edge-kit"
TYPES = {str: "TEXT", int: "INTEGER", float: "NUMBER", Path: "PATH"}


def commands() -> dict[str, Any]:
    """Return each command that does something by its words, as in ``models list``, in the order of ``--help``."""
    return dict(_walk(typer.main.get_command(app), ()))


def _walk(command: Any, words: tuple[str, ...]) -> Iterator[tuple[str, Any]]:
    children: dict[str, Any] = getattr(command, "commands", {})
    if not children:
        yield " ".join(words), command
    for name, child in children.items():
        yield from _walk(child, (*words, name))


def command_pages() -> dict[str, str]:
    """Return the pages by their path: an index with the first sentence of each command, and a page for each."""
    index = [
        "# Commands",
        "",
        "Made from the parser of `edge-kit`. Each command also answers `--help`.",
        "",
        "Exit codes: 0 done; 1 a batch ended with images that could not be read, a bundle failed its check, or a build "
        "failed a gate; 2 bad input.",
        "",
        "| command | does |",
        "|---|---|",
    ]
    pages = {}
    for words, command in commands().items():
        name = f"{words.replace(' ', '-')}.md"
        first = _paragraphs(command)[0]
        index.append(f"| [`{words}`]({name}) | {_cell(first)} |")
        pages[f"reference/cli/{name}"] = command_page(words, command)
    return {"reference/cli/index.md": "\n".join(index) + "\n", **pages}


def command_page(words: str, command: Any) -> str:
    """Return the Markdown page of one command."""
    arguments = [one for one in command.params if one.param_type_name == "argument"]
    options = [one for one in command.params if one.param_type_name == "option" and not one.hidden]
    usage = " ".join([PROGRAM, words, *(_usage(one) for one in arguments), "[OPTIONS]"])
    hints = get_type_hints(inspect.unwrap(command.callback))
    required = [f"{one.opts[0]} {_metavar(one, hints)}" for one in options if one.required]
    lines = [f"# {PROGRAM} {words}", "", *_spaced(_paragraphs(command)), "```", " ".join([usage, *required]), "```", ""]
    if arguments:
        lines += ["## Arguments", "", "| argument | meaning |", "|---|---|"]
        lines += [f"| `{_usage(one)}` | {_cell(one.help or '')} |" for one in arguments] + [""]
    if options:
        lines += ["## Options", "", "| option | meaning | default |", "|---|---|---|"]
        lines += [f"| {_names(one, hints)} | {_cell(one.help or '')} | {_default(one)} |" for one in options] + [""]
    if command.epilog:
        lines += [str(command.epilog), ""]
    return "\n".join(lines)


def _paragraphs(command: Any) -> list[str]:
    text = inspect.cleandoc(command.help or "")
    return [" ".join(part.split()) for part in text.split("\n\n")]


def _spaced(paragraphs: list[str]) -> list[str]:
    return [line for one in paragraphs for line in (one, "")]


def _metavar(option: Any, hints: dict[str, Any]) -> str:
    """Return what stands for an option's value: its own word, or the type of the function's argument."""
    return str(option.metavar or TYPES[_plain(hints[option.name])]).upper()


def _plain(annotation: Any) -> Any:
    """Return ``str`` for ``list[str] | None`` and the like."""
    if get_origin(annotation) in (list, Union, types.UnionType):
        return _plain(next(one for one in get_args(annotation) if one is not type(None)))
    return annotation


def _usage(argument: Any) -> str:
    name = str(argument.metavar or argument.name).upper()
    if argument.nargs == -1 and "…" not in name:
        name = f"{name}…"
    return name if argument.required or name.startswith("[") else f"[{name}]"


def _names(option: Any, hints: dict[str, Any]) -> str:
    names = "`, `".join([*option.opts, *option.secondary_opts])
    return f"`{names}`" if option.is_flag else f"`{names}` {_metavar(option, hints)}"


def _default(option: Any) -> str:
    """Return the default as a user writes it; empty for a switch that is off and for what the help text explains."""
    value = option.default
    if option.required:
        return "required"
    if callable(value) or value is None or value is False or value == ():
        return ""
    if value is True:
        return f"`{option.opts[0]}`"
    return f"`{value.as_posix() if isinstance(value, Path) else value}`"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
