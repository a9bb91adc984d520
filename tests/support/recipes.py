"""The recipes of CONTRIBUTING.md: their blocks as files, in a copy of the repository or as a single module."""

from __future__ import annotations

import importlib.util
import re
import shlex
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).parents[2]
CONTRIBUTING = ROOT / "CONTRIBUTING.md"
COPIED = ("adapters", "config", "console", "docs", "state", "tests", "CONTRIBUTING.md", "pyproject.toml")
"""What a copy of the repository needs to run tests and linters."""
PLACE = re.compile(r"^(At the end of )?`([^`]+)`:$")
COMMAND = re.compile(r'^make test ARGS="([^"]+)"$', re.MULTILINE)
EMPTY = re.compile(r"\bempty\s+`([^`]+)`")
RUN_AS_FILES = ("python", "yaml", "diff")
"""Languages of the blocks that become files; a block without a language is for a terminal."""


@dataclass(frozen=True, slots=True)
class Block:
    """One fenced block below a heading. `place` is the file that the line above names; a diff may name none again."""

    heading: str
    line: int
    language: str
    place: str
    at_end: bool
    text: str


def blocks(text: str) -> Iterator[Block]:
    """The fenced blocks of a Markdown text, in their order."""
    heading, above, place, at_end = "", "", "", False
    lines = enumerate(text.splitlines(), 1)
    for number, line in lines:
        if line.startswith("## "):
            heading = line.removeprefix("## ")
        if line.startswith("```"):
            body = []
            for _, inner in lines:
                if inner == "```":
                    break
                body.append(f"{inner}\n")
            named = PLACE.match(above)
            if named is not None:
                place, at_end = named[2], named[1] is not None
            elif line != "```diff":
                place = ""
            yield Block(heading, number, line.removeprefix("```"), place, at_end, "".join(body))
            above = ""
        elif line.strip():
            above = line


def recipes() -> list[Block]:
    """All blocks of CONTRIBUTING.md."""
    return list(blocks(CONTRIBUTING.read_text()))


def commands(block: Block) -> list[str]:
    """What a block for a terminal hands to pytest: the arguments of `make test`."""
    return [part for found in COMMAND.findall(block.text) for part in shlex.split(found)]


def copied(folder: Path) -> Path:
    """A copy of the repository below a folder."""
    for name in COPIED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("__pycache__", ".*"))
        else:
            shutil.copy(source, folder / name)
    return folder


def followed(tree: Path) -> list[str]:
    """Carry out every recipe in a copy of the repository; returns the files written or changed.

    Raises LookupError for a block that cannot be carried out.
    """
    for name in EMPTY.findall(CONTRIBUTING.read_text()):
        _write(tree / name, "")
    touched: dict[str, None] = {}
    for block in recipes():
        if block.language in RUN_AS_FILES:
            carry_out(tree, block)
            touched[block.place] = None
    return list(touched)


def carry_out(tree: Path, block: Block) -> None:
    """Write one block. Raises LookupError naming its line when it has no place, when its file is there already, or when
    the lines that a diff changes are not there exactly once."""
    path = tree / block.place
    if not block.place:
        raise LookupError(f"CONTRIBUTING.md:{block.line}: the line above names no file")
    if block.language == "diff":
        lines = block.text.splitlines(keepends=True)
        before = "".join(line[1:] for line in lines if not line.startswith("+"))
        after = "".join(line[1:] for line in lines if not line.startswith("-"))
        text = path.read_text()
        if text.count(before) != 1:
            raise LookupError(f"CONTRIBUTING.md:{block.line}: {block.place} has these lines {text.count(before)} times")
        path.write_text(text.replace(before, after))
    elif block.at_end:
        path.write_text(f"{path.read_text()}\n\n{block.text}")
    elif path.exists():
        raise LookupError(f"CONTRIBUTING.md:{block.line}: {block.place} is there already")
    else:
        _write(path, block.text)


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def loaded(heading: str, folder: Path) -> ModuleType:
    """The first Python block below a heading as an imported module; its file is written into the folder."""
    block = next(b for b in recipes() if b.heading == heading and b.language == "python")
    name = f"recipe_{re.sub('[^a-z]+', '_', heading.lower())}"
    path = folder / f"{name}.py"
    path.write_text(block.text)
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # pydantic looks up the names in annotations there
    spec.loader.exec_module(module)
    return module
