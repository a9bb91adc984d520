"""The engine's front door: HTTP and newline-delimited JSON over two Unix sockets.

`engine.sock` offers everything and leaves each decision to the engine; `observe.sock` is for everybody on the host
and has no acting route at all. Who calls is the kernel's word (SO_PEERCRED), never the caller's.
"""

from adapters.api_server.metrics import EngineMetrics, LoopLag, MetricsServer
from adapters.api_server.routes import ROUTES, Route
from adapters.api_server.server import ApiServer, Sockets

__all__ = ["ROUTES", "ApiServer", "EngineMetrics", "LoopLag", "MetricsServer", "Route", "Sockets"]
