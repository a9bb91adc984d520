"""`recovery completion`: the script a shell loads, and the classes that answer it when a key is pressed."""

from __future__ import annotations

import os
from typing import Any

import click
from click.shell_completion import (
    BashComplete,
    CompletionItem,
    FishComplete,
    ShellComplete,
    ZshComplete,
    add_completion_class,
    split_arg_string,
)

from console.cli.shown import say
from state.errors import ExitCode

HINTS = {
    "bash": 'add to ~/.bashrc:  eval "$(recovery completion bash)"',
    "zsh": 'add to ~/.zshrc:  eval "$(recovery completion zsh)"',
    "fish": "recovery completion fish > ~/.config/fish/completions/recovery.fish",
}

BASH = """\
%(complete_func)s() {
    local IFS=$'\\n' type value
    COMPREPLY=()
    while IFS=',' read -r type value; do
        case $type in
            dir) compopt -o dirnames ;;
            file) compopt -o default ;;
            plain) COMPREPLY+=("$value"); [[ $value == *= ]] && compopt -o nospace ;;
        esac
    done < <(env COMP_LINE="${COMP_LINE:0:COMP_POINT}" COMP_BREAKS="$COMP_WORDBREAKS" \\
        %(complete_var)s=bash_complete "$1" 2>/dev/null)
    return 0
}

complete -o nosort -F %(complete_func)s %(prog_name)s
"""


class WholeLine(BashComplete):
    """bash: the line is read as it stands, because bash itself takes `NAME=VALUE` and `ssh://HOST` apart."""

    source_template = BASH

    def get_completion_args(self) -> tuple[list[str], str]:
        """The words before the cursor's, and that word."""
        line = os.environ.get("COMP_LINE", "")
        words = split_arg_string(line)
        incomplete = "" if not words or line[-1:].isspace() else words.pop()
        return words[1:], incomplete

    def get_completions(self, args: list[str], incomplete: str) -> list[CompletionItem[Any]]:
        """Without what bash has taken as words before: it replaces only what follows the last of its breaks."""
        breaks = os.environ.get("COMP_BREAKS", "")
        taken = max((incomplete.rfind(sign) + 1 for sign in "=:" if sign in breaks), default=0)
        items = super().get_completions(args, incomplete)
        for item in items:
            if item.type == "plain" and item.value.startswith(incomplete[:taken]):
                item.value = item.value[taken:]
        return items


class InOrder(FishComplete):
    """fish: in the order given, open runs first."""

    source_template = FishComplete.source_template.replace("--no-files", "--keep-order --no-files")


class WithCompinit(ZshComplete):
    """zsh: where the shell has not loaded its completion system, the script does."""

    source_template = ZshComplete.source_template.replace(
        "    compdef ", "    (( $+functions[compdef] )) || { autoload -Uz compinit && compinit -i -D }\n    compdef "
    )


CLASSES: dict[str, type[ShellComplete]] = {"bash": WholeLine, "zsh": WithCompinit, "fish": InOrder}


def register_classes() -> None:
    """Tell click which class answers which shell."""
    for name, kind in CLASSES.items():
        add_completion_class(kind, name)


@click.command()
@click.argument("shell", type=click.Choice(list(HINTS)))
def completion(shell: str) -> int:
    """Print the completion script of a shell."""
    from console.cli.verbs import recovery

    say(f"# {HINTS[shell]}")
    say(CLASSES[shell](recovery, {}, "recovery", "_RECOVERY_COMPLETE").source())
    return ExitCode.DONE
