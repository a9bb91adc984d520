"""Verb groups with a default verb: `recovery db --json` is `recovery db show --json`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from state.config_files.suggestions import not_found

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

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
        if not args and ctx.resilient_parsing:  # completing: the verb is still to be typed
            return super().parse_args(ctx, args)
        if not args or (args[0].startswith("-") and args[0] not in HELP):
            args = [self.default, *args]
        return super().parse_args(ctx, args)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem[str]]:
        """The verbs, and the options of the default verb."""
        items = super().shell_complete(ctx, incomplete)
        command = self.get_command(ctx, self.default)
        if incomplete.startswith("-") and command is not None:
            with command.make_context(self.default, [], parent=ctx, resilient_parsing=True) as below:
                items += command.shell_complete(below, incomplete)
        return list({item.value: item for item in items}.values())


class Listing(Defaulting):
    """Without a verb: list."""

    default = "list"


class Reporting(Defaulting):
    """Without a verb: status."""

    default = "status"


class Tailing(Defaulting):
    """Without a verb: tail."""

    default = "tail"
