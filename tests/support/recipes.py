"""The recipes of CONTRIBUTING.md, loaded as they stand there."""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path
from types import ModuleType

CONTRIBUTING = Path(__file__).parents[2] / "CONTRIBUTING.md"
FENCED = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(heading: str) -> list[str]:
    """The fenced Python blocks below a heading of the second level, in their order. Raises LookupError."""
    parts = re.split(r"^## (.+)$", CONTRIBUTING.read_text(), flags=re.MULTILINE)
    texts = dict(zip(parts[1::2], parts[2::2], strict=True))
    if heading not in texts:
        raise LookupError(f"CONTRIBUTING.md has no heading {heading!r}; it has {', '.join(texts)}")
    return FENCED.findall(texts[heading])


def loaded(heading: str, folder: Path, index: int = 0) -> ModuleType:
    """One block as an imported module; its file is written into the folder."""
    name = f"recipe_{re.sub('[^a-z]+', '_', heading.lower())}_{index}"
    path = folder / f"{name}.py"
    path.write_text(blocks(heading)[index])
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # pydantic looks up the names in annotations there
    spec.loader.exec_module(module)
    return module
