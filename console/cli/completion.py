"""`recovery completion`: the script a shell loads to complete verbs and options."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from console.cli.shown import say
from state.errors import ExitCode

HINTS = {
    "bash": 'add to ~/.bashrc:  eval "$(recovery completion bash)"',
    "zsh": 'add to ~/.zshrc:  eval "$(recovery completion zsh)"',
    "fish": "recovery completion fish > ~/.config/fish/completions/recovery.fish",
}


@click.command()
@click.argument("shell", type=click.Choice(list(HINTS)))
def completion(shell: str) -> int:
    """Print the completion script of a shell."""
    from console.cli.verbs import recovery

    kind = get_completion_class(shell)
    if kind is None:
        raise click.UsageError(f"no completion for {shell}")
    say(f"# {HINTS[shell]}")
    say(kind(recovery, {}, "recovery", "_RECOVERY_COMPLETE").source())
    return ExitCode.DONE
