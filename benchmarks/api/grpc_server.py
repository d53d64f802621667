"""The product's way to one run: gate, service and store behind grpc.aio, with nothing else on.

Run as `python -m benchmarks.api.grpc_server DATA_FOLDER`; prints its port and serves until killed.
"""

import sys
from pathlib import Path
from typing import cast

import grpc
import uvloop
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from promptreel.v2 import prompt_run_pb2_grpc
from promptreel_server.engine.engine import Engine
from promptreel_server.services.call.cursors import Cursors
from promptreel_server.services.call.interceptor import Gate
from promptreel_server.services.call.key_cache import KeyRing
from promptreel_server.services.call.rate_limits import RateLimits
from promptreel_server.services.rpc.prompt_runs import PromptRunService, RunDefaults
from promptreel_server.services.watch.run_watches import Watches
from promptreel_server.store.database.sqlite import open_sqlite

NO_PACE = 1e9


async def serve(folder: Path) -> None:
    """Serve PromptRunService and health on a free port."""
    async with open_sqlite(folder) as database:
        gate = Gate(KeyRing(database), RateLimits(per_second=NO_PACE, burst=1_000_000))
        server = grpc.aio.server(interceptors=[gate], options=[("grpc.so_reuseport", 0)])
        # Only GetPromptRun is called, which asks neither engine nor watches.
        service = PromptRunService(
            database=database,
            engine=cast(Engine, None),
            cursors=Cursors(b"benchmark"),
            watches=cast(Watches, None),
            defaults=RunDefaults(),
        )
        prompt_run_pb2_grpc.add_PromptRunServiceServicer_to_server(service, server)
        checks = health.aio.HealthServicer()
        await checks.set("", health_pb2.HealthCheckResponse.SERVING)
        health_pb2_grpc.add_HealthServicer_to_server(checks, server)
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        print(port, flush=True)
        await server.wait_for_termination()


if __name__ == "__main__":
    uvloop.run(serve(Path(sys.argv[1])))
