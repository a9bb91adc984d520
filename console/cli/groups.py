"""Verb groups with a default verb: `recovery db --json` is `recovery db show --json`."""

from __future__ import annotations

import click

HELP = ("-h", "--help")


class Defaulting(click.Group):
    """A group whose options without a verb belong to its `default` verb."""

    default = "show"

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if not args or (args[0].startswith("-") and args[0] not in HELP):
            args = [self.default, *args]
        return super().parse_args(ctx, args)


class Listing(Defaulting):
    """Without a verb: list."""

    default = "list"


class Reporting(Defaulting):
    """Without a verb: status."""

    default = "status"


class Tailing(Defaulting):
    """Without a verb: tail."""

    default = "tail"
