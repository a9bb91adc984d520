"""What a plan does not touch: the other balancers that send to a server which is taken out of rotation on some."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from state.api.card import CardWarning, WarningKind
from state.changes.floors import services_of
from state.estate.model import Estate
from state.planning.plan import Seen

TAKES_OUT = ("server.drain", "server.maint")


def elsewhere(seen: Sequence[Seen], acting: Sequence[Seen], estate: Estate) -> Iterable[CardWarning]:
    """A warning for each server that is taken out on one balancer while another one of its service keeps it."""
    out = [one for one in seen if one.step.what in TAKES_OUT]
    for one in (each for each in acting if each in out):
        backend, server = str(one.step.args["backend"]), str(one.step.args["server"])
        touched = {str(each.step.args["balancer"]) for each in out if _same(each, backend, server)}
        services = services_of(estate, str(one.step.args["balancer"]), backend)
        traffic = (estate.services[name].traffic for name in services)
        known = dict.fromkeys(balancer for each in traffic if each for balancer in each.balancers)
        if others := [name for name in known if name not in touched]:
            names, verb = " and ".join(others), "is" if len(others) == 1 else "are"
            message = f"{names} {verb} not touched: what goes from there to {server} of {backend} goes on"
            yield CardWarning(WarningKind.EFFECT, one.change.name, message)


def _same(one: Seen, backend: str, server: str) -> bool:
    return (one.step.args["backend"], one.step.args["server"]) == (backend, server)
