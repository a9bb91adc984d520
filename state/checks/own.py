"""The estate's own checks in runbooks."""

from __future__ import annotations

from state.checks.hands import own_by_hand
from state.checks.model import Answer, CheckArgs, CheckKind
from state.config_files.suggestions import not_found
from state.estate.model import Estate, Name
from state.verdicts.own_checks import own_verdict
from state.world.world import World


class OwnCheckArgs(CheckArgs):
    """Which check of the estate."""

    check: Name


def own_check(args: OwnCheckArgs, world: World, estate: Estate, now_mono: float) -> Answer:
    """What the estate's check says. Raises NotFound for one that it does not have."""
    if args.check not in estate.checks:
        raise not_found("check of the estate", args.check, estate.checks)
    health, message = own_verdict(args.check, world, now_mono)
    return Answer(health, (message,))


KINDS = (CheckKind("own.check", "a check of the estate passes", OwnCheckArgs, own_check, by_hand=own_by_hand),)
