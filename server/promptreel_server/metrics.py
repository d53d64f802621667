"""What Prometheus is told: gauges read from the parts that run, at the moment that it asks."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from prometheus_client import CollectorRegistry, ProcessCollector, start_http_server
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from promptreel_server.engine.engine import Engine
from promptreel_server.engine.model_calls.concurrency import Lanes
from promptreel_server.errors import PortTaken
from promptreel_server.services.watch.watch_hub import Tails
from promptreel_server.store.database.database import Database

PREFIX = "promptreel"


@dataclass(frozen=True, kw_only=True)
class Gauges(Collector):
    """Reads the parts of one server, from whichever thread asks: nothing is changed by it."""

    database: Database
    engine: Engine
    lanes: Lanes
    tails: Tails

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Answer every gauge as it stands."""
        yield _gauge(
            "stalled_runs", "Runs that make no progress; why: see them.", self.engine.stalled_runs
        )
        yield _gauge("media_in_hand", "Media items and retries in work.", self.engine.in_hand)
        yield _gauge("open_watches", "Watches that are open.", self.tails.open)
        yield _gauge("changes_waiting", "Changes that wait for the writer.", self.database.waiting)
        trouble = int(self.database.trouble is not None)
        yield _gauge("store_in_trouble", "1 where the store could not be written lately.", trouble)
        yield from self._of_lanes()

    def _of_lanes(self) -> Iterator[GaugeMetricFamily]:
        in_flight = _of_models("lane_calls_in_flight", "Calls to a model that are not answered.")
        window = _of_models("lane_window", "Calls to a model that may be in flight.")
        waiting = _of_models("lane_calls_waiting", "Calls to a model that wait for their turn.")
        broken = _of_models("lane_broken", "1 where the model refuses our credentials.")
        for model, lane in self.lanes.all():
            in_flight.add_metric([model], lane.in_flight)
            window.add_metric([model], lane.window)
            waiting.add_metric([model], lane.waiting)
            broken.add_metric([model], int(lane.broken is not None))
        yield from (in_flight, window, waiting, broken)


def _gauge(name: str, meaning: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"{PREFIX}_{name}", meaning, value=value)


def _of_models(name: str, meaning: str) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"{PREFIX}_{name}", meaning, labels=["model"])


@asynccontextmanager
async def served(gauges: Gauges, *, host: str, port: int) -> AsyncIterator[None]:
    """Answer `GET /metrics` on a port of its own for the length of the block; 0: nowhere.

    Raises:
        PortTaken: another program listens there.
    """
    if not port:
        yield
        return
    registry = CollectorRegistry()
    registry.register(gauges)
    ProcessCollector(registry=registry)
    try:
        server, thread = start_http_server(port, addr=host, registry=registry)
    except OSError as error:
        raise PortTaken(
            f"Port {port} of {host} is taken by another program; set another as metrics_port."
        ) from error
    try:
        yield
    finally:
        await asyncio.to_thread(server.shutdown)
        server.server_close()
        await asyncio.to_thread(thread.join)
