"""The load of goals 4 and 5: ten PostgreSQL nodes, three HAProxy of 1,000 servers, twenty HTTP queries, at 1 Hz.

Two real PostgreSQL servers stand for the ten nodes, and one farm process for Prometheus and Patroni; the product
opens its own connection to every one of them and cannot tell.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from tests.bench.servers import free_range, haproxy, postgres, role
from tests.bench.site import Site, database, pair_of, shop_on, write
from tests.contract.components import Pair

CLUSTERS, BALANCERS, BACKENDS, SERVERS, QUERIES = 5, 3, 10, 100, 20
WORDS = "10 PostgreSQL nodes on 2 servers, each also asked as Patroni; 3 HAProxy of 1,000 servers; 20 queries"


@contextlib.contextmanager
def big_site(folder: Path) -> Iterator[tuple[Site, Pair, list[Path]]]:
    """The site, its PostgreSQL servers, and the sockets of its balancers."""
    farm = free_range(QUERIES)
    with contextlib.ExitStack() as stack:
        stack.enter_context(role("farm", farm, QUERIES))
        pair = stack.enter_context(postgres())
        sockets = []
        for number in range(BALANCERS):
            place = folder / f"h{number}"
            place.mkdir(mode=0o755)
            balancer = stack.enter_context(haproxy(place, BACKENDS, SERVERS, to=(farm, farm + 1)))
            sockets.append(balancer.runtime)
        names = ["orders", *(f"db{i}" for i in range(1, CLUSTERS))]
        databases = {scope: database(pair_of(pair), farm, scope) for scope in names}
        monitors = {
            ("prom" if i == 0 else f"prom{i}"): {"kind": "prometheus", "url": f"http://127.0.0.1:{farm + i}"}
            for i in range(QUERIES)
        }
        yield write(folder, "big", databases, sockets, monitors, shop_on("edge-0")), pair, sockets
