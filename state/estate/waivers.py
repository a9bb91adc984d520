"""Protections that an entry of an estate goes without, each with its reason."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Annotated

from pydantic import AfterValidator, BaseModel, Field

from state.config_files.findings import refuse
from state.estate.entry import Entry


def _one_line(text: str) -> str:
    if not text.isprintable() or text != text.strip():
        raise ValueError("a reason in one line")
    return text


Reason = Annotated[str, Field(min_length=10, max_length=200), AfterValidator(_one_line)]
"""Why a protection is waived, for the person who reads the card: what protects instead, who approved it, when."""


class ReasonedWaivers(Entry):
    """What an entry goes without, each field with its reason: shown in red on every card that uses the entry."""

    @property
    def given(self) -> Mapping[str, str]:
        """The reasons by what is waived."""
        return {name: getattr(self, name) for name in type(self).model_fields if getattr(self, name) is not None}

    def refuse_needless(self, model: type[BaseModel], needed: Iterable[str]) -> None:
        """Raise ValidationError for what is waived and not needed: it would hide a later mistake."""
        needless = [name for name in self.given if name not in needed]
        message = "no waiver, because nothing here goes without it"
        refuse(model, [(("waive", name), getattr(self, name), message) for name in needless])


class Waivers(ReasonedWaivers):
    """`tls`: plain text to another machine."""

    tls: Reason | None = None
