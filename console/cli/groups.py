"""Verb groups with a default verb: `recovery db --json` is `recovery db show --json`."""

from __future__ import annotations

import click

from state.config_files.suggestions import not_found

HELP = ("-h", "--help")


class Suggesting(click.Group):
    """A group that answers a wrong verb with the nearest right one and the list."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name, known = args[0], self.list_commands(ctx)
        if name not in known and not name.startswith("-") and not ctx.resilient_parsing:
            raise click.UsageError(str(not_found("verb", name, known)), ctx)
        return super().resolve_command(ctx, args)


class Defaulting(Suggesting):
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
