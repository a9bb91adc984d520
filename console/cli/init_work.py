"""What `recovery init` does: ask the addresses, propose, check the text, write. Wording is in `init_told`."""

from __future__ import annotations

import json
import os
import pwd
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from adapters.discovery.asking import discover, look_around
from adapters.discovery.looking import Looking
from adapters.files.estate_text import render
from adapters.files.fresh_files import write_new
from adapters.files.located_yaml import parse_yaml
from adapters.files.runbook_copies import RunbookCopy, copies
from adapters.registry import kinds
from console.cli.documents import documents
from state.discovery.answers import Answers, InitQuestion, answered, questions
from state.discovery.found import Fact, Unreached
from state.discovery.names import made_valid
from state.discovery.proposal import Proposal
from state.discovery.propose import propose
from state.estate.model import Estate
from state.estate.parse import parse_estate
from state.estate.schema import estate_schema
from state.units import utc_date

SECRETS_MODE = 0o700


@dataclass(frozen=True, slots=True)
class Discovered:
    """What stands at the addresses; `looked` is whether the usual places were looked at instead of addresses."""

    facts: Sequence[Fact]
    looked: bool

    @property
    def silent(self) -> list[Unreached]:
        """The addresses that gave nothing."""
        return [fact for fact in self.facts if isinstance(fact, Unreached)]

    @property
    def empty(self) -> bool:
        """Whether there is nothing to write."""
        return len(self.silent) == len(self.facts)


@dataclass(slots=True)
class Drafted:
    """A proposed estate and its text, valid as `recovery check` would say."""

    proposal: Proposal
    text: str
    estate: Estate
    runbooks: Sequence[RunbookCopy] = ()
    written: list[Path] = field(default_factory=list)
    kept: list[Path] = field(default_factory=list)
    """Files that were there already and were not touched."""


async def look(addresses: Sequence[str], looking: Looking) -> Discovered:
    """Ask the addresses, or look at the usual places of this host."""
    if addresses:
        return Discovered(await discover(list(dict.fromkeys(addresses)), looking), False)
    return Discovered(await look_around(looking), True)


def account() -> str:
    """The account that runs this, which will operate the estate."""
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return str(os.geteuid())


def first_answers() -> Answers:
    """What is proposed before anybody answered."""
    return Answers(owners=(made_valid(account(), fallback="operator"),))


def estate_name(folder: str) -> str:
    """A name for the estate: that of the folder it is written to where one is given, else that of this host."""
    host = made_valid(socket.gethostname().partition(".")[0].lower(), fallback="estate")
    given = Path(folder).expanduser()
    return host if given == Path() else made_valid(given.resolve().name, fallback=host)


def to_ask(found: Discovered, name: str, given: Mapping[str, str]) -> tuple[Answers, list[InitQuestion], Sequence[str]]:
    """The answers so far, what is still to be asked, and the services this is about: also those that would be left out
    without a reason for plain text. Raises WrongAnswer."""
    base = first_answers()
    proposal, placing = propose(found.facts, replace(base, waive="as it will be answered"), name, account())
    services = list(proposal.section("services"))
    answers = answered(base, given, services)
    asked = questions(answers, services, placing.homeless, proposal.plain)
    return answers, [question for question in asked if question.key not in given], services


def draft(found: Discovered, answers: Answers, name: str, now: float) -> Drafted:
    """The estate that would be written, with its runbooks. Raises ConfigError when `check` would refuse it."""
    proposal, _ = propose(found.facts, answers, name, account())
    sources = [fact.address for fact in found.facts if not isinstance(fact, Unreached)]
    head = [f"Written by `recovery init` on {utc_date(now)} from", *(f"  {source}" for source in sources)]
    head.append("Yours from now on: change what you want.")
    if (folder := documents()) is not None:
        head.append(f"docs/ is {folder}")
    text = render(proposal, head)
    estate = parse_estate(parse_yaml(text, "the proposed estate"), kinds())
    return Drafted(proposal, text, estate, list(copies(estate)))


def write(drafted: Drafted, file: Path) -> bool:
    """Write runbooks, the schema for editors, the empty folder of secrets, and last the estate that names them; False
    when the estate is there already. Nothing that is there is replaced, and what was interrupted can be begun again.
    Raises OSError."""
    if file.exists() or file.is_symlink():
        return False
    file.parent.mkdir(parents=True, exist_ok=True)
    folder = file.parent / "runbooks"
    folder.mkdir(exist_ok=True)
    written: list[Path] = []
    for each in drafted.runbooks:
        if each.text:
            path = folder / f"{each.name}.yaml"
            (written if write_new(path, each.text) else drafted.kept).append(path)
    if drafted.proposal.secrets:
        (file.parent / "secrets").mkdir(mode=SECRETS_MODE, exist_ok=True)
    if write_new(file.parent / "schema.json", f"{json.dumps(estate_schema(kinds()), indent=2, ensure_ascii=False)}\n"):
        written.insert(0, file.parent / "schema.json")
    if not write_new(file, drafted.text):
        return False
    drafted.written += [file, *written]
    return True
