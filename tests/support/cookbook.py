"""The files of docs/cookbook.md, as they stand there."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

COOKBOOK = Path(__file__).parents[2] / "docs" / "cookbook.md"
BLOCK = re.compile(r"^(Add to )?`([^`\n]+\.yaml)`:\n\n```yaml\n(.*?)^```$", re.MULTILINE | re.DOTALL)
ESTATE = "recovery.yaml"


def blocks() -> Iterator[tuple[bool, str, str]]:
    """Whether a block is added to what is there, its file, and its text."""
    for added, file, text in BLOCK.findall(COOKBOOK.read_text(encoding="utf-8")):
        yield bool(added), file, text


def write_all(folder: Path) -> list[Path]:
    """Write every file; sections that are there already get the entries of later blocks. The runbooks that were
    written."""
    yaml, estates, runbooks = YAML(typ="safe", pure=True), dict[Path, dict[str, Any]](), list[Path]()
    for added, name, text in blocks():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        if file.name != ESTATE:
            file.write_text(text, encoding="utf-8")
            runbooks.append(file)
            continue
        assert added is (file in estates), f"{name} is written twice, or added to before it is there"
        tree = estates.setdefault(file, {})
        for section, entries in yaml.load(text).items():
            if section in tree:
                assert not set(tree[section]) & set(entries), f"{name}: {section} has one of {list(entries)} already"
                tree[section] |= entries
            else:
                tree[section] = entries
    for file, tree in estates.items():
        with file.open("w", encoding="utf-8") as out:
            yaml.dump(tree, out)
    return runbooks
