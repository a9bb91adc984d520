"""One row of HAProxy's `show servers state`, which is also one of a server-state file.

Columns: HAProxy management guide 9.3, `show servers state`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

STATE_HEADER = b"# be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state srv_uweight srv_iweight "
FORCED_MAINT, CONFIGURED_MAINT, FORCED_DRAIN, RENAMED = 0x01, 0x04, 0x08, 0x40
"""Bits of `srv_admin_state`: by hand, by the configuration (it stays after `ready`), by hand, a name set by hand."""
NOT_TAKEN_OVER = 0x02 | 0x10 | 0x20 | RENAMED
"""Bits that a state file brings nobody: inherited, or from the look-up of a name."""
CONFIGURED = (CONFIGURED_MAINT, CONFIGURED_MAINT | FORCED_MAINT, CONFIGURED_MAINT | FORCED_DRAIN)
VALID = (0, FORCED_MAINT, FORCED_DRAIN, *CONFIGURED)
"""All that a row may have beside them: HAProxy takes nothing of another one."""
HEAVIEST = 256
CHECK_CONFIGURED, CHECK_ENABLED = 0x02, 0x04
"""Bits of `srv_check_state` and `srv_agent_state`: a server that was added at run time has a check that is off until
somebody enables it."""


class ConfiguredServer(NamedTuple):
    """What a configuration on the disk has of a server. `port` is empty where that is not told."""

    weight: int
    disabled: bool
    port: str = ""


class StateRow(NamedTuple):
    """Address, whether its agent is asked, whether its check is off, or its agent, operational state, admin bits,
    weight now and as configured."""

    address: str
    agent: bool
    check_off: bool
    agent_off: bool
    operational: int
    admin: int
    weight: int
    configured: int

    @property
    def maintenance(self) -> bool:
        """By hand, or by the configuration."""
        return bool(self.admin & FORCED_MAINT)

    @property
    def disabled(self) -> bool:
        """By the configuration, whatever was set since."""
        return bool(self.admin & CONFIGURED_MAINT)

    @property
    def drained(self) -> bool:
        """By hand."""
        return bool(self.admin & FORCED_DRAIN)

    @property
    def as_configured(self) -> bool:
        """Whether a process without a state file has the same."""
        same = self.maintenance == self.disabled and self.weight == self.configured
        return same and not (self.admin & (FORCED_DRAIN | RENAMED) or self.check_off or self.agent_off)

    @property
    def taken(self) -> bool:
        """Whether HAProxy takes it from a state file; of one with a wrong value it takes nothing."""
        weights = 0 <= self.weight <= HEAVIEST and 0 <= self.configured <= HEAVIEST
        return weights and self.admin & ~NOT_TAKEN_OVER in VALID and self.operational in range(4)

    @property
    def now(self) -> tuple[str, int]:
        """State and weight."""
        return _word(self.maintenance, self.drained), self.weight

    @property
    def port(self) -> str:
        """Where its requests go; a state file brings it to the next process, whatever is configured there."""
        return self.address.rpartition(":")[2]

    @property
    def begun(self) -> ConfiguredServer:
        """What this process was configured with, as far as it tells."""
        return ConfiguredServer(self.configured, self.disabled)

    def unlike(self, then: ConfiguredServer | None) -> bool:
        """Whether a configuration is another one than this process has."""
        return then is None or then._replace(port="") != self.begun or bool(then.port and then.port != self.port)

    def after_reload(self, kept: StateRow | None, then: ConfiguredServer) -> tuple[str, int]:
        """State and weight that the next process has, by what its file has of this server and how it is configured
        `then`. By `srv_state_srv_update` in HAProxy's src/server_state.c."""
        if kept is None:
            return _word(then.disabled, drained=False), then.weight
        out = then.disabled if kept.disabled != then.disabled else kept.maintenance
        drained = kept.drained and not out and (kept.configured > 0 or then.weight == 0)
        return _word(out, drained), kept.weight if kept.configured == then.weight else then.weight


def key_of(fields: Sequence[bytes]) -> str:
    """`backend/server`."""
    return f"{fields[1].decode()}/{fields[3].decode()}"


def row_of(fields: Sequence[bytes]) -> StateRow:
    """The row of a line that was split. Raises IndexError or ValueError."""
    host, port, check, agent = fields[4].decode(), fields[18].decode(), int(fields[13]), int(fields[14])
    return StateRow(
        f"[{host}]:{port}" if ":" in host else f"{host}:{port}",
        bool(agent & CHECK_ENABLED),
        _is_off(check),
        _is_off(agent),
        *map(int, fields[5:9]),
    )


def _is_off(bits: int) -> bool:
    return bits & (CHECK_CONFIGURED | CHECK_ENABLED) == CHECK_CONFIGURED


def _word(out: bool, drained: bool) -> str:
    return "maint" if out else "drain" if drained else "ready"
