"""Servers over one database, put together as `app.py` does; they can be killed and restarted."""

import asyncio
import random
import traceback
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from pathlib import Path
from typing import Any, NoReturn
from unittest.mock import patch

from sqlalchemy import select

from promptreel_server.domain import ids
from promptreel_server.domain.media import MediaFacts
from promptreel_server.engine.dispatch import stop_flags
from promptreel_server.engine.dispatch.in_process import LocalDispatcher
from promptreel_server.engine.dispatch.stop_flags import Stops
from promptreel_server.engine.drive import segmentation
from promptreel_server.engine.drive.resources import Bounds, Lazy, Means
from promptreel_server.engine.engine import Engine
from promptreel_server.engine.library.deletion import Deleter
from promptreel_server.engine.library.media_imports import ImportLimits, Imports
from promptreel_server.engine.library.uri_imports import UriImports
from promptreel_server.engine.model_calls.concurrency import LaneLimits, Lanes
from promptreel_server.engine.model_calls.retry_policy import AttemptPolicy
from promptreel_server.errors import MediaUnreadable, Unavailable
from promptreel_server.media.blobs import FileBlobs
from promptreel_server.media.frames.thumbnails import Thumbnails
from promptreel_server.segmenters import Cut, SegmentationRequest, segmenter_for
from promptreel_server.store.database.database import Database
from promptreel_server.store.schema.tables import feeds
from tests.engines import NoPictures
from tests.media_items import FACTS
from tests.simulation.backends import Backend
from tests.simulation.cluster import Cluster, SimulatedPeers
from tests.simulation.scheduler import PROCESS, Process, Scheduler
from tests.simulation.witness import Factory, Witness

OWNER = "owner"
EPOCH = datetime(2026, 1, 1, tzinfo=UTC)
IN_FLIGHT = 2
"""Segments of one media item that a drive works on at once."""
MEDIA_AT_ONCE = 2
LOOK_EVERY = 4.0
"""Seconds between looks for stop requests: idle looks are most of what an interleaving costs."""
LIMITS = ImportLimits(most_bytes=1 << 20, quota_bytes=1 << 24, most_items=100, at_once=4)
_ULID_DIGITS = "0123456789abcdefghjkmnpqrstvwxyz"


def _none() -> NoReturn:
    raise Unavailable("There is no such model here.")


@dataclass(eq=False, kw_only=True)
class Server:
    """One life of one server."""

    process: Process
    database: Database
    peers: SimulatedPeers
    engine: Engine
    deleter: Deleter
    imports: UriImports
    main: "asyncio.Task[None] | None" = None
    replaced: bool = False
    """Whether another server has been started in its place."""


@dataclass
class World:
    """All servers, dead ones too, over one database."""

    scheduler: Scheduler
    backend: Backend
    folder: Path
    witness: Witness
    cluster: Cluster
    servers: list[Server] = field(default_factory=list)
    unreadable: float = 0.0
    """Share of media items that can't be cut at first."""
    lives: int = 0

    @classmethod
    def made(cls, scheduler: Scheduler, backend: Backend, folder: Path, trouble: float) -> "World":
        witness = Witness(scheduler, backend.look, IN_FLIGHT, trouble)
        cluster = Cluster(
            scheduler,
            lambda: set(backend.look(lambda c: c.execute(select(feeds.c.owner_id)).scalars())),
        )
        return cls(scheduler, backend, folder, witness, cluster)

    @property
    def roots(self) -> Path:
        """Where files lie that may be imported."""
        return self.folder / "root"

    def living(self) -> list[Server]:
        """The servers that live, suspended or not."""
        return [server for server in self.servers if not server.process.dead]

    def start(self, name: str, offset: float = 0.0) -> Server:
        """Start a server."""
        self.lives += 1
        process = Process(f"{name} ({self.lives})", clock_offset=offset)
        self.scheduler.processes.append(process)
        server = _in(process, lambda: self._composed(process))
        self.servers.append(server)
        server.main = self.scheduler.start(process, lambda: _serve(server))
        server.main.add_done_callback(lambda _: self._exited(server))
        return server

    def _composed(self, process: Process) -> Server:
        def clock() -> datetime:
            return EPOCH + timedelta(seconds=self.scheduler.time() + process.clock_offset)

        peers = SimulatedPeers(self.cluster, process)
        database = self.backend.open(clock, peers)
        blobs = FileBlobs(self.folder / "blobs")
        thumbnails = Thumbnails(self.folder / "thumbnails")
        means = Means(
            database=database,
            blobs=blobs,
            pictures=NoPictures(),
            thumbnails=thumbnails,
            extractors=Factory(self.witness, clock),
            transcriber=Lazy(_none),
            embedder=Lazy(_none),
            lanes=Lanes(LaneLimits(first=4, most=4)),
            stops=Stops(database),
            policy=AttemptPolicy(transient_attempts=3, shortest_pause=0.5, longest_pause=4.0),
            bounds=Bounds(segments_in_flight=IN_FLIGHT),
        )
        imports = Imports(database, blobs, self._probe, LIMITS)
        return Server(
            process=process,
            database=database,
            peers=peers,
            engine=Engine(means, LocalDispatcher(most_at_once=MEDIA_AT_ONCE)),
            deleter=Deleter(database, blobs, thumbnails, means.stops),
            imports=UriImports(database, imports, [self.roots]),
        )

    async def _probe(self, path: Path) -> MediaFacts:
        await asyncio.sleep(self.scheduler.dice.uniform(0.0, 1.0))
        return replace(FACTS, start=Fraction(0), duration=Fraction(25), audio_stream=None)

    def _exited(self, server: Server) -> None:
        """A server that has come to its end by itself is a process no more."""
        assert server.main is not None
        error = None if server.main.cancelled() else server.main.exception()
        if server.main.cancelled() or error is not None:
            told = "".join(traceback.format_exception(error)) if error is not None else "cancelled"
            self.scheduler.broken.append(f"{server.process.name} ended by itself: {told}")
        self.scheduler.kill(server.process)
        server.peers.lose_session()

    def kill(self, server: Server) -> None:
        """End a server as kill -9 does."""
        self.scheduler.kill(server.process)
        server.peers.lose_session()
        self.backend.drop(server.database)

    @contextmanager
    def playing(self) -> Iterator[None]:
        """Put in the place of what would decode, and of chance, what the seed decides."""
        kept = random.getstate()
        random.seed(self.scheduler.dice.random())
        self.roots.mkdir(parents=True)
        with ExitStack() as stack:
            stack.enter_context(self.witness.watching())
            stack.enter_context(patch.object(ids, "_ULIDS", _SeededIds(self.scheduler)))
            stack.enter_context(patch.object(segmentation, "segmenter_for", self._segmenter))
            stack.enter_context(patch.object(stop_flags, "LOOK_EVERY", LOOK_EVERY))
            stack.enter_context(self.backend.losing(self._commit_is_lost))
            try:
                yield
            finally:
                for server in self.living():
                    self.kill(server)
                self.scheduler.bury()
                random.setstate(kept)

    def _commit_is_lost(self) -> bool | None:
        dice = self.scheduler.dice
        if dice.random() >= self.scheduler.weather.lost_commit_answer:
            return None
        return dice.random() < 0.5

    def _segmenter(self, *asked: Any) -> "_SlowSegmenter":
        return _SlowSegmenter(self, segmenter_for(*asked))


@dataclass
class _SlowSegmenter:
    """Cuts as the real one does, after a while, or not at all."""

    world: World
    real: Any
    version: str = ""

    async def cut(self, request: SegmentationRequest, progress: Any) -> Cut:
        scheduler = self.world.scheduler
        await asyncio.sleep(scheduler.lasting(0.0, 3.0))
        if scheduler.dice.random() < self.world.unreadable:
            raise MediaUnreadable("It can't be decoded.")
        found: Cut = await self.real.cut(request, progress)
        return found


class _SeededIds:
    """ULIDs by the clock of the server that makes them, their chance by the seed."""

    def __init__(self, scheduler: Scheduler) -> None:
        self._scheduler = scheduler
        self._dice = random.Random(scheduler.dice.random())

    def generate(self) -> str:
        process = PROCESS.get()
        offset = 0.0 if process is None else process.clock_offset
        instant = EPOCH.timestamp() + self._scheduler.time() + offset
        return _digits(int(instant * 1000), 10) + _digits(self._dice.getrandbits(80), 16)


def _digits(number: int, count: int) -> str:
    return "".join(
        _ULID_DIGITS[(number >> 5 * place) & 31].upper() for place in reversed(range(count))
    )


def _in(process: Process, make: Callable[[], Server]) -> Server:
    """Make a server as if within its process."""
    token = PROCESS.set(process)
    try:
        return make()
    finally:
        PROCESS.reset(token)


async def _serve(server: Server) -> None:
    async with server.database.running(), _working(server):
        await server.engine.idle()


@asynccontextmanager
async def _working(server: Server) -> AsyncIterator[None]:
    async with server.peers.starting():
        pass
    async with asyncio.TaskGroup() as tasks:
        own = [
            tasks.create_task(server.engine.run(), name="engine"),
            tasks.create_task(server.deleter.run(), name="deletions"),
            tasks.create_task(server.imports.run(), name="imports"),
        ]
        try:
            yield
        finally:
            for task in own:
                task.cancel()
