"""What faults work on: the parts of one lab, with functions to start, stop and query them."""

from __future__ import annotations

import asyncio
import shutil
import signal
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import dns.asyncquery
import dns.exception
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype
import dns.tsigkeyring
import dns.update

from adapters.lab.cluster import Cluster
from adapters.lab.errors import LabError, NoSuchFaultError
from adapters.lab.links.wiring import Wiring
from adapters.lab.process.binaries import Binary
from adapters.lab.process.children import Children, python, unprivileged
from adapters.lab.process.processes import postgres_family, send
from adapters.lab.topology import KEY_ALGORITHM, KEY_NAME, LOCAL, TTL, ZONE, Credentials, Topology
from adapters.lab.waiting import until
from state.config_files.suggestions import not_found

DNS_ERRORS = (OSError, dns.exception.DNSException)
TOOL_LIMIT = 60.0  # seconds for a program of PostgreSQL


@dataclass(slots=True)
class Bench:
    """One running lab, from inside. `present` holds the components that take part."""

    topology: Topology
    credentials: Credentials
    binaries: dict[str, Binary]
    present: set[str]
    children: Children
    wiring: Wiring
    cluster: Cluster
    faketime: Path | None = None
    clocks: dict[str, float] = field(default_factory=dict)
    """By how many seconds the clock of a node is apart from this one's, from its next start on."""

    @property
    def managed(self) -> bool:
        """Whether Patroni manages the nodes."""
        return "patroni" in self.present

    # HAProxy

    async def start_balancer(self, site: str, *, replace: bool = False) -> None:
        """Start a site's HAProxy; with `replace` it takes over from the running one, which keeps no runtime state."""
        binary = self.binaries["haproxy"]
        name = f"haproxy-{site}"
        argv = [str(binary.path), "-db", "-f", str(self.topology.root / f"{name}.cfg")]
        if replace:
            argv += ["-sf", str(self.children.pid(name))]
        await self.children.start(name, argv, binary.environment)

    async def runtime(self, site: str, command: str) -> str:
        """One command on HAProxy's own stats socket (Management Guide, 9.3). Raises LabError."""
        try:
            async with asyncio.timeout(2):
                reader, writer = await asyncio.open_unix_connection(str(self.topology.socket_of(site)))
                writer.write(command.encode() + b"\n")
                answer = await reader.read()
                writer.close()
        except (OSError, TimeoutError) as error:
            raise LabError(f"haproxy-{site} does not answer: {type(error).__name__}") from error
        return answer.decode("utf-8", "replace").strip()

    async def set_weight(self, site: str, server: str, weight: int) -> None:
        """Set the weight of a checkout server and read it back. Raises LabError when it is another."""
        answer = await self.runtime(site, f"set server checkout/{server} weight {weight}")
        if answer:
            raise LabError(f"haproxy-{site}: {answer}")
        current = await self.weight(site, server)
        if current != weight:
            raise LabError(f"haproxy-{site}: weight of {server} is {current}, not {weight}")

    async def weight(self, site: str, server: str) -> int:
        answer = await self.runtime(site, f"get weight checkout/{server}")
        try:
            return int(answer.split()[0])
        except (IndexError, ValueError):
            raise LabError(f"haproxy-{site}: {answer!r} is not a weight") from None

    # PostgreSQL

    async def start_node(self, name: str) -> None:
        """Start the Patroni of a node, which starts its PostgreSQL; without Patroni the server itself."""
        config = self.topology.root / f"{name}.yml"
        if not self.managed:
            node = self.topology.nodes[name]
            program, root = self.binaries["postgres"].path / "postgres", self.topology.root
            argv = [str(program), "-D", str(node.data), "-h", node.host, "-p", str(node.postgres), "-k", str(root)]
            await self.children.start(name, unprivileged(argv))
            return
        await self.children.start(name, unprivileged(python("patroni", str(config))), self._clock(name))

    def _clock(self, name: str) -> dict[str, str]:
        """The environment of a node whose clock is apart; what counts seconds counts them right."""
        if name not in self.clocks or self.faketime is None:
            return {}
        apart = {"FAKETIME": f"{self.clocks[name]:+g}s", "FAKETIME_DONT_FAKE_MONOTONIC": "1"}
        return {"LD_PRELOAD": str(self.faketime), **apart}

    async def restart_node(self, name: str) -> None:
        """End the Patroni of a node and its PostgreSQL at once, and start them again."""
        if self.children.exit_code(name) is None:
            self.kill_node(name)
            await self.children.wait(name)
        self.kill_postgres(name)
        await self.start_node(name)

    async def resume_node(self, name: str) -> None:
        """Let the Patroni of a node, or its server without one, go on; start it where it has ended, by a fault or by
        whoever fenced the node."""
        if self.children.exit_code(name) is not None:
            await self.start_node(name)
        else:
            send([self.children.pid(name)], signal.SIGCONT)

    def kill_node(self, name: str) -> None:
        """SIGKILL the Patroni of a node first, then PostgreSQL, as a power cut would."""
        family = postgres_family(self.data_of(name))
        send([self.children.pid(name), *family], signal.SIGKILL)

    def kill_postgres(self, name: str) -> None:
        """SIGKILL what lives of the PostgreSQL of a node."""
        send(postgres_family(self.data_of(name)), signal.SIGKILL)

    def data_of(self, name: str) -> Path:
        return self.topology.nodes[name].data

    async def tool(self, name: str, *arguments: str, environment: Mapping[str, str] | None = None) -> None:
        """Run a program of PostgreSQL to its end. Raises LabError when it fails, or takes over a minute."""
        argv = [str(self.binaries["postgres"].path / name), *arguments]
        await self.children.start(name, unprivileged(argv), environment)
        try:
            async with asyncio.timeout(TOOL_LIMIT):
                await self.children.wait(name)
        except TimeoutError as error:
            await self.children.end(name)
            raise LabError(f"{name} {arguments[0]}: not within {TOOL_LIMIT:.0f} s") from error
        code = self.children.exit_code(name)
        self.children.forget(name)
        if code != 0:
            raise LabError(f"{name} {arguments[0]}: {self.children.log_tail(name)}")

    async def promote(self, name: str) -> None:
        """`pg_ctl promote` without telling Patroni. Raises LabError."""
        await self.tool("pg_ctl", "promote", "-w", "-t", "10", "-D", str(self.data_of(name)))

    async def stop_server(self, name: str) -> None:
        """End the PostgreSQL of a node at once, without telling Patroni. Raises LabError when it still runs."""
        if postgres_family(self.data_of(name)):
            await self.tool("pg_ctl", "stop", "-w", "-t", "20", "-m", "immediate", "-D", str(self.data_of(name)))

    async def start_server(self, name: str) -> None:
        """Start the PostgreSQL of a node as its files say, without telling Patroni. Raises LabError."""
        if not self.managed:
            await self.start_node(name)
            await until(f"PostgreSQL {name} answers", partial(self._answers, name), TOOL_LIMIT)
            return
        data = self.data_of(name)
        log = data.parent / "server.log"
        await self.tool("pg_ctl", "start", "-w", "-t", "30", "-D", str(data), "-l", str(log))

    def freeze_agent(self, name: str) -> None:
        """SIGSTOP of the Patroni of a node, if it has one; `resume_node` lets it go on."""
        if self.managed:
            send([self.children.pid(name)], signal.SIGSTOP)

    async def new_node(self, name: str) -> None:
        """End a node, remove its data and start its Patroni, which copies the leader's. Raises LabError."""
        if self.children.exit_code(name) is None:
            self.kill_node(name)
            await self.children.wait(name)
        send(postgres_family(self.data_of(name)), signal.SIGKILL)
        await asyncio.to_thread(shutil.rmtree, self.data_of(name), ignore_errors=True)
        if not self.managed:
            await self.copy_node(name)
        await self.start_node(name)

    async def copy_node(self, name: str) -> None:
        """A standby's data, copied from the primary, without Patroni. Raises LabError."""
        leader = await self.cluster.primary()
        if leader is None:
            raise LabError("no node is the primary now")
        node = self.topology.nodes[leader]
        source = f"host={node.host} port={node.inbound} user=replication application_name={name}"
        secret = {"PGPASSWORD": self.credentials.replication}
        options = ("-R", "-X", "stream", "-c", "fast", "--no-sync", "-d", source)
        await self.tool("pg_basebackup", "-D", str(self.data_of(name)), *options, environment=secret)

    async def _answers(self, name: str) -> bool:
        return await self.cluster.in_recovery(name) is not None

    async def standby(self, wanted: str | None) -> str:
        """The node asked for, or a standby by default: n3, else the last one. Raises LabError."""
        if wanted is not None:
            if wanted not in self.topology.nodes:
                raise NoSuchFaultError(str(not_found("node", wanted, self.topology.nodes)))
            return wanted
        primary = await self.cluster.primary()
        standbys = [name for name in self.topology.nodes if name != primary]
        if primary is None or not standbys:
            raise LabError("there is no standby now")
        return standbys[-1]

    # DNS

    async def resolve(self, name: str) -> list[str]:
        """The A records of a name of the zone. Raises one of DNS_ERRORS."""
        question = dns.message.make_query(f"{name}.{ZONE}", "A")
        answer = await dns.asyncquery.udp(question, LOCAL, port=self.topology.dns, timeout=1)
        sets = [rrset for rrset in answer.answer if rrset.rdtype == dns.rdatatype.A]
        return sorted(record.to_text() for rrset in sets for record in rrset)

    async def point(self, name: str, addresses: list[str]) -> None:
        """Replace the A records of a name by a signed update, and read them back. Raises LabError."""
        keyring = dns.tsigkeyring.from_text({KEY_NAME: (KEY_ALGORITHM, self.credentials.tsig)})
        update = dns.update.UpdateMessage(
            ZONE, keyring=keyring, keyname=dns.name.from_text(KEY_NAME), keyalgorithm=KEY_ALGORITHM
        )
        update.replace(name, TTL, "A", *addresses)
        try:
            answer = await dns.asyncquery.tcp(update, LOCAL, port=self.topology.dns, timeout=2)
            current = await self.resolve(name)
        except DNS_ERRORS as error:
            raise LabError(f"the DNS server does not answer: {type(error).__name__}") from error
        if answer.rcode() != dns.rcode.NOERROR or current != sorted(addresses):
            raise LabError(f"{name} is {current} after {dns.rcode.to_text(answer.rcode())}")
