"""The engine's API server: HTTP and newline-delimited JSON over two Unix sockets.

`engine.sock` offers everything and leaves each decision to the engine; `observe.sock` is open to everybody on the host
and has no acting route. The kernel says who calls (SO_PEERCRED), never the caller.
"""

from adapters.api_server.metrics import EngineMetrics, LoopLag, MetricsServer
from adapters.api_server.routes import ROUTES, Route
from adapters.api_server.server import ApiServer, Sockets

__all__ = ["ROUTES", "ApiServer", "EngineMetrics", "LoopLag", "MetricsServer", "Route", "Sockets"]
