"""What a change of records is asked for with. Names and values that are none of DNS's reach no server."""

from __future__ import annotations

from typing import Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from state.estate.dns_names import FourAddress, RecordName, SixAddress, TargetName, Ttl
from state.estate.model import Name

MOST_VALUES = 100


class SetRecordsArgs(BaseModel):
    """The addresses of a name, or the name that it is an alias of. A family that is left out stays as it is; an empty
    one is removed. `ttl` is for what is set, by default as it is; `ttl_aaaa` where the families differ. `empty`: the
    name may be left without an answer. `disabled`: addresses that the server keeps and does not answer with, by default
    those that it has."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    zone: Name
    record: RecordName
    a: tuple[FourAddress, ...] | None = Field(default=None, max_length=MOST_VALUES)
    aaaa: tuple[SixAddress, ...] | None = Field(default=None, max_length=MOST_VALUES)
    cname: TargetName | None = None
    ttl: Ttl | None = None
    ttl_aaaa: Ttl | None = None
    empty: bool = False
    disabled: tuple[FourAddress | SixAddress, ...] | None = Field(default=None, max_length=MOST_VALUES)

    @model_validator(mode="after")
    def _says_what(self) -> Self:
        if self.a is None and self.aaaa is None and self.cname is None:
            raise ValueError("say at least one of a, aaaa and cname")
        if self.cname is not None and (self.a or self.aaaa):
            raise ValueError("an alias has no addresses of its own: say cname, or a and aaaa")
        return self
