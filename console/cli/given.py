"""What is given on the command line must be something: an empty word is refused, by the name of its option.

A script whose variable is empty (`--host "$HOST"`) would else act on what is meant without the option: on the engine of
this host, on the best candidate, on whichever question is open.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import click
from click.core import ParameterSource


def refuse_empty(command: click.Command) -> None:
    """Let a verb, and the verbs below it, refuse options and arguments that are given and empty."""
    if isinstance(command, click.Group):
        for below in command.commands.values():
            refuse_empty(below)
    for parameter in command.params:
        if not isinstance(parameter.type_cast_value, partial):  # the same command is looked up more than once
            converted = partial(_given, parameter, parameter.type_cast_value)
            parameter.type_cast_value = converted  # type: ignore[method-assign]


def _given(
    parameter: click.Parameter, cast: Callable[[click.Context, Any], Any], context: click.Context, value: Any
) -> Any:
    """The value as its type, unless it is empty. Raises BadParameter."""
    empty = value == "" or (isinstance(value, tuple | list) and "" in value)
    source = context.get_parameter_source(str(parameter.name))
    words = value if isinstance(value, tuple | list) else [value]
    path = isinstance(parameter.type, click.Path)
    if source is ParameterSource.COMMANDLINE and not all(_possible(word, path=path) for word in words):
        raise click.BadParameter("it has bytes that are not UTF-8, or NUL", context, parameter)
    if empty and source is ParameterSource.COMMANDLINE and not context.resilient_parsing:
        out = "" if parameter.required else "leave it out, or "
        raise click.BadParameter(
            f"it is empty; {out}give {parameter.make_metavar(context).strip('[].')}", context, parameter
        )
    return cast(context, value)


def _possible(value: Any, *, path: bool) -> bool:
    """Whether a word is text without NUL; a path may have bytes that are none."""
    if not isinstance(value, str):
        return True
    try:
        return b"\0" not in (os.fsencode(value) if path else value.encode())
    except UnicodeEncodeError:
        return False


def named_values(params: Sequence[str]) -> dict[str, str]:
    """Parameters of a runbook, written `name=value`. Raises UsageError."""
    values: dict[str, str] = {}
    for param in params:
        name, equals, value = param.partition("=")
        if not equals or not name:
            raise click.UsageError(f"a parameter is written NAME=VALUE, not {param!r}")
        if not value:
            raise click.UsageError(f"the parameter {name} is empty; leave it out to take its default")
        if name in values:
            raise click.UsageError(f"the parameter {name} is given twice")
        values[name] = value
    return values
