"""Every kind of check, by name. A new kind is one entry in its module's KINDS."""

from __future__ import annotations

from collections.abc import Mapping

from state.checks import alerts, database, dns, service, traffic
from state.checks.model import CheckKind

CHECKS: Mapping[str, CheckKind] = {
    kind.kind: kind for module in (service, traffic, database, alerts, dns) for kind in module.KINDS
}
