"""`recovery runbook new`: a commented file that lints, from a template or from a runbook that is there."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path

from adapters.files.read import read_yaml, runbook_paths
from adapters.registry import kinds
from console.cli.documents import documents
from state.config_files.explain import NAME_PATTERN, NAME_RULE
from state.config_files.suggestions import not_found
from state.errors import BadArguments, NotFound, Problem
from state.estate.parse import parse_estate

HEAD = """\
# yaml-language-server: $schema=runbook.schema.json
# (recovery schema --runbook > runbook.schema.json, beside this file: completion and checks in your editor)
#
# Say here what this is for, and when it is the wrong tool. Every key: {docs}/runbooks.md.
runbook: {name}
title: {name}
description: >-
  What it does, in two sentences, for somebody who has never seen it.
"""
WORDS = """\
    why: |
      What this step is for.
    look_for: |
      What a person sees when it goes well.
    if_it_fails: |
      What to do then.
"""
SERVICE = (
    """\
service: ${service}                # whose RTO the run is measured by

params:
  service: {kind: service, required: true, title: Service}

steps:
  # What is true now, on record before anything is touched; it does not block.
  - id: before
    title: Whether ${service} is healthy now
    check: service.healthy
    with: {service: "${service}"}
    for: 10s
    on_failure: continue

  # A change has a check behind it that proves it. Remove the # and set what is yours:
  # - id: drain
  #   title: Stop sending new sessions to ${server}
  #   change: server.drain
  #   with: {balancer: "${balancer}", backend: "${service.backend}", server: "${server}"}
  #   on_failure: pause              # pause, stop, continue or undo

  - id: go
    title: Go on?
    decide:
      question: Is the work on ${service} done?
      options: {Yes: continue, Stop here: stop}
    timeout: 1h
"""
    + WORDS
    + """
  - id: after
    title: ${service} is healthy, five times in a row
    check: service.healthy
    with: {service: "${service}"}
    every: 2s
    for: 2m
    samples: 5
"""
)
LOOP = """\
service: ${service}

params:
  service: {kind: service, required: true, title: Service}

steps:
  # One balancer after the other, in the estate's order. The card lists all that will be done.
  - id: edges
    each: ${service.balancers}       # or ${service.database.nodes}, or a list: [10, 50, 100]
    as: balancer
    pace: 10s                        # a pause between two of them
    stop_after: 1                    # with 2, one may fail and the loop goes on
    on_failure: pause
    steps:
      - id: serves
        title: Enough servers of ${service} serve on ${balancer}
        check: backend.floor
        with: {balancer: "${balancer}", backend: "${service.backend}", at_least: 1}
        for: 20s
        why: |
          What this step is for.

  - id: after
    title: ${service} is healthy, five times in a row
    check: service.healthy
    with: {service: "${service}"}
    every: 2s
    for: 2m
    samples: 5
"""
DATABASE = (
    """\
service: ${database.service}       # the most important service that depends on it

params:
  database: {kind: database, required: true, title: Cluster}

steps:
  - id: one-primary
    title: Exactly one node of ${database} is primary
    check: database.one-primary
    with: {database: "${database}"}
    for: 10s
    samples: 2
"""
    + WORDS
    + """
  # Standbys first, as the roles are read when the run is planned; it pauses when another node leads meanwhile.
  - id: nodes
    each: ${database.nodes}
    as: node
    order: standbys-first
    steps:
      - id: caught-up
        title: ${node} has caught up
        check: database.caught-up
        with: {database: "${database}", node: "${node}", bytes: 1MB}
        for: 1m

  - id: streaming
    title: Every replica is streaming
    check: database.streaming
    with: {database: "${database}"}
    for: 1m
    samples: 3
"""
)
TEMPLATES: Mapping[str, str] = {"service": HEAD + SERVICE, "loop": HEAD + LOOP, "database": HEAD + DATABASE}
_NAMED = re.compile(r"^runbook:.*$", re.MULTILINE)


def write_new(estate_file: Path, name: str, template: str) -> Path:
    """Write the file; one that exists is never replaced. Raises BadArguments, NotFound or ConfigError."""
    if not re.fullmatch(NAME_PATTERN, name):
        raise BadArguments((Problem("argument", 0, 0, repr(name[:60]), NAME_RULE),))
    listed = parse_estate(read_yaml(estate_file), kinds()).runbooks
    paths = {path.stem: path for path in runbook_paths(estate_file, listed)}
    folder = next((estate_file.parent / each for each in listed if (estate_file.parent / each).is_dir()), None)
    if folder is None:
        raise NotFound(f"no folder for it: the estate lists files only under `runbooks`: {', '.join(listed) or 'none'}")
    path = folder / f"{name}.yaml"
    if name in paths or path.exists():
        raise BadArguments((Problem("argument", 0, 0, repr(name), f"another name; {paths.get(name, path)} exists"),))
    text = _filled(TEMPLATES[template], name) if template in TEMPLATES else _copy(paths, name, template)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
    return path


def _filled(text: str, name: str) -> str:
    return text.replace("{name}", name).replace("{docs}", str(documents() or "docs"))


def _copy(paths: Mapping[str, Path], name: str, template: str) -> str:
    """The text of another runbook, comments included, under the new name."""
    if template not in paths:
        raise not_found("template or runbook", template, [*TEMPLATES, *paths])
    read_yaml(paths[template])  # it can be read, and not everybody may write it
    return _NAMED.sub(f"runbook: {name}", paths[template].read_text(), count=1)
