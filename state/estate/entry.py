"""What every entry of an estate is made of: names, quantities, references to secrets."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from state.config_files.explain import NAME_PATTERN, OBJECT_PATTERN, TABLE_PATTERN
from state.units import parse_duration, parse_ratio, parse_size

Name = Annotated[str, Field(pattern=NAME_PATTERN)]
"""Names become part of commands to targets: only letters, digits, dot, dash and underscore are allowed."""
TableName = Annotated[str, Field(pattern=TABLE_PATTERN)]
ObjectName = Annotated[str, Field(pattern=OBJECT_PATTERN)]
"""The name of a backend or a server, as its balancer has it."""

MOST_SECONDS = 366 * 86_400.0
"""The longest duration that an estate may name: a year."""
MOST_BYTES = 1 << 60
MOST_SERVERS = 10_000
Seconds = Annotated[float, BeforeValidator(parse_duration), Field(gt=0, le=MOST_SECONDS)]
Bytes = Annotated[int, BeforeValidator(parse_size), Field(ge=0, le=MOST_BYTES)]
Ratio = Annotated[float, BeforeValidator(parse_ratio), Field(ge=0, le=1)]


class Entry(BaseModel):
    """Base of every entry: unknown keys are refused, values do not change after loading."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class SecretRef(Entry):
    """Where a secret is read from at run time; exactly one of file, env, command. Never the secret itself."""

    file: str | None = None
    env: str | None = None
    command: tuple[str, ...] | None = None
