"""The composition root: settings become a server that runs; only here are classes chosen."""

import asyncio
import contextlib
import logging
import signal
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from fractions import Fraction
from functools import partial
from typing import TextIO

import grpc
from grpc_health.v1 import health

from promptreel_server import metrics, retention
from promptreel_server.concurrency.gc_tuning import collect_seldom
from promptreel_server.concurrency.watchdog import Watchdog
from promptreel_server.domain.key import Scope
from promptreel_server.engine.dispatch.in_process import LocalDispatcher
from promptreel_server.engine.dispatch.stop_flags import Stops
from promptreel_server.engine.drive.resources import Bounds, Means
from promptreel_server.engine.engine import Engine
from promptreel_server.engine.library.deletion import Deleter, sweep
from promptreel_server.engine.library.media_imports import ImportLimits, Imports
from promptreel_server.engine.library.previews import Previews
from promptreel_server.engine.library.uri_imports import UriImports
from promptreel_server.engine.model_calls.concurrency import LaneLimits, Lanes
from promptreel_server.errors import Invalid, PortTaken, Unavailable
from promptreel_server.gateway import Gateway, find_envoy
from promptreel_server.media.blobs import FileBlobs
from promptreel_server.media.frames.pictures import Pictures
from promptreel_server.media.frames.thumbnails import Thumbnails
from promptreel_server.media.inspect.probe import probe
from promptreel_server.media.process import ffmpeg as programs
from promptreel_server.media.process.ffmpeg import Ffmpeg
from promptreel_server.media.process.resource_limits import landlock_version
from promptreel_server.model_instances import Models
from promptreel_server.segmenters import Limits
from promptreel_server.services.call import cursors, message_bounds
from promptreel_server.services.call.cursors import Cursors
from promptreel_server.services.call.key_cache import KeyRing
from promptreel_server.services.call.rate_limits import RateLimits
from promptreel_server.services.register import Parts, gate, register
from promptreel_server.services.rpc.prompt_runs import RunDefaults
from promptreel_server.services.watch.watch_hub import Tails, WatchLimits
from promptreel_server.settings import Settings
from promptreel_server.store.access import api_keys, server_secrets
from promptreel_server.store.catalogue import default_prompts
from promptreel_server.store.database.database import Database
from promptreel_server.store.database.sqlite import open_sqlite
from promptreel_server.store.schema.transaction import Transaction

log = logging.getLogger(__name__)

OWNER = "local"
"""Owner of the first key, and of keys that are made without naming one."""

END_SECONDS = 5.0
"""Seconds beyond the drain time after which a server that is told to stop has ended for sure."""
LOOP_STUCK_SECONDS = 10.0
"""The shortest time that the event loop may be held up before the process ends with a failure."""
WRITER_STUCK_SECONDS = 180.0
"""Seconds that one commit may take before it does."""

MOST_ANSWER = 64 * 2**20
MOST_CALLS = 50_000
"""Calls at once, watches among them."""
MOST_METADATA = 16 * 1024
_IDENTITY_ONLY = 1
"""A set of compression algorithms: none but the identity."""
GRPC_OPTIONS = (
    ("grpc.so_reuseport", 0),  # a second server on the port must fail, not share it
    ("grpc.max_receive_message_length", message_bounds.MOST),
    ("grpc.max_send_message_length", MOST_ANSWER),
    # What is sent is what is held: a compressed message of 60 kB could be one of megabytes.
    ("grpc.compression_enabled_algorithms_bitset", _IDENTITY_ONLY),
    ("grpc.max_concurrent_streams", 1000),
    ("grpc.max_metadata_size", MOST_METADATA),
    ("grpc.absolute_max_metadata_size", 2 * MOST_METADATA),
    ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
    ("grpc.keepalive_permit_without_calls", 1),
)


@dataclass(frozen=True, kw_only=True)
class Serving:
    """A server that runs: where it listens, and the key that was made at its first start."""

    grpc_address: str
    rest_address: str | None
    first_key: str | None


@dataclass(frozen=True, kw_only=True)
class _Built:
    """What was put together for one server."""

    parts: Parts
    engine: Engine
    deleter: Deleter
    from_uris: UriImports
    tails: Tails
    keys: KeyRing
    gauges: metrics.Gauges
    first_key: str | None


async def serve(settings: Settings, announce: Callable[[Serving], None]) -> None:
    """Run a server until SIGTERM or SIGINT, then drain it.

    Raises:
        PromptreelError: it can't start; the message is for whoever started it.
    """
    stopping = asyncio.Event()
    within = settings.drain_seconds + END_SECONDS
    watchdog = Watchdog(stuck_after=max(within, LOOP_STUCK_SECONDS))

    def stop() -> None:
        watchdog.end_within(within)
        stopping.set()

    with watchdog.running(), _signals(stop):
        async with running(settings, watchdog) as serving:
            try:
                collect_seldom()
                announce(serving)
                await stopping.wait()
                log.info("stopping")
            finally:
                watchdog.end_within(within)  # also where a task that must live has died


@asynccontextmanager
async def running(settings: Settings, watchdog: Watchdog | None = None) -> AsyncIterator[Serving]:
    """Run a server for the length of the block; `watchdog` looks after its writer.

    Raises:
        PromptreelError: it can't start; the message is for whoever started it.
    """
    async with AsyncExitStack() as stack:
        database = await stack.enter_async_context(opened(settings))
        if watchdog is not None:
            watchdog.watch("the writer", database.commit_in_hand, seconds=WRITER_STUCK_SECONDS)
        ffmpeg = programs.locate(settings.ffmpeg, settings.ffprobe)
        if not landlock_version():
            log.warning("the kernel has no Landlock: decoders may open what the server may")
        models = Models(settings, ffmpeg)
        stack.push_async_callback(models.close)
        built = await _build(settings, database, ffmpeg, models)
        server = grpc.aio.server(
            interceptors=[gate(built.parts)],
            options=GRPC_OPTIONS,
            maximum_concurrent_rpcs=MOST_CALLS,
        )
        healthy = register(server, built.parts)
        grpc_port = _bind(server, settings)
        await server.start()
        tasks = await stack.enter_async_context(_working(settings, built))
        await stack.enter_async_context(
            metrics.served(built.gauges, host=settings.host, port=settings.metrics_port)
        )
        gateway = _gateway(settings, grpc_port) if settings.gateway else None
        stack.push_async_callback(_drain, settings, server, gateway, built, healthy)
        rest_port = None
        if gateway is not None:
            rest_port = await gateway.start()
            tasks.create_task(gateway.supervise(), name="gateway")
        yield Serving(
            grpc_address=f"{settings.host}:{grpc_port}",
            rest_address=f"http://{settings.host}:{rest_port}" if rest_port else None,
            first_key=built.first_key,
        )


async def _build(settings: Settings, database: Database, ffmpeg: Ffmpeg, models: Models) -> _Built:
    blobs, thumbnails = media_folders(settings)
    pictures = Pictures(ffmpeg=ffmpeg)
    async with database.peers.starting() as alone:
        if alone:
            await sweep(database, blobs, thumbnails)
        first_key, signing = await database.write(_first_start)
    means = _means(settings, database, blobs, thumbnails, pictures, models)
    engine = Engine(
        means,
        LocalDispatcher(most_at_once=settings.media_at_once),
        stalled_after=settings.stalled_seconds,
    )
    imports = Imports(database, blobs, partial(probe, ffmpeg=ffmpeg), _import_limits(settings))
    from_uris = UriImports(database, imports, settings.media_roots)
    deleter = Deleter(database, blobs, thumbnails, means.stops)
    ring = KeyRing(database)
    tails = Tails(
        database,
        WatchLimits(heartbeat=settings.heartbeat_seconds, most_per_key=settings.watches_per_key),
    )
    parts = Parts(
        database=database,
        engine=engine,
        imports=imports,
        from_uris=from_uris,
        previews=Previews(thumbnails, pictures, blobs),
        tails=tails,
        keys=ring,
        rate_limits=RateLimits(
            per_second=settings.requests_per_second, burst=settings.request_burst
        ),
        cursors=Cursors(signing),
        run_defaults=RunDefaults(
            processing_model=settings.processing_model, reuse_llm_calls=settings.reuse_llm_calls
        ),
        on_deletion=deleter.wake,
    )
    return _Built(
        parts=parts,
        engine=engine,
        deleter=deleter,
        from_uris=from_uris,
        tails=tails,
        keys=ring,
        gauges=metrics.Gauges(database=database, engine=engine, lanes=means.lanes, tails=tails),
        first_key=first_key,
    )


def _means(
    settings: Settings,
    database: Database,
    blobs: FileBlobs,
    thumbnails: Thumbnails,
    pictures: Pictures,
    models: Models,
) -> Means:
    return Means(
        database=database,
        blobs=blobs,
        pictures=pictures,
        thumbnails=thumbnails,
        extractors=models.extractors,
        transcriber=models.transcriber,
        embedder=models.embedder,
        lanes=Lanes(
            LaneLimits(
                first=min(settings.calls_at_first, settings.calls_in_flight),
                most=settings.calls_in_flight,
                calls_a_minute=settings.calls_per_minute,
                tokens_a_minute=settings.tokens_per_minute,
                longest_pause=settings.model_pause_seconds,
            )
        ),
        stops=Stops(database),
        limits=_limits(settings),
        bounds=Bounds(
            segments_in_flight=settings.segments_in_flight,
            cuts_at_once=settings.cuts_at_once,
            frames_a_segment=settings.frames_per_segment,
        ),
    )


def _import_limits(settings: Settings) -> ImportLimits:
    return ImportLimits(
        most_bytes=settings.upload_most_bytes,
        quota_bytes=settings.owner_most_bytes,
        most_items=settings.owner_most_items,
        at_once=settings.owner_uploads_at_once,
    )


def _limits(settings: Settings) -> Limits:
    try:
        return Limits(
            shortest=Fraction(str(settings.shortest_segment)),
            longest=Fraction(str(settings.longest_segment)),
            spoken_shortest=Fraction(str(settings.shortest_spoken_segment)),
            target=Fraction(str(settings.target_segment)),
        )
    except ValueError as error:
        raise Invalid(f"The settings of segment lengths don't fit together: {error}.") from error


def _first_start(tx: Transaction) -> tuple[str | None, bytes]:
    """Put in place what every server needs; answers the key that was made where there was none."""
    default_prompts.ensure_defaults(tx)
    made = None
    if not api_keys.has_any(tx.connection):
        made = api_keys.new_secret()
        api_keys.create(tx, owner_id=OWNER, name="first", scope=Scope.ADMIN, secret=made)
    return made, server_secrets.get_or_create(tx, cursors.SIGNED_WITH)


def _bind(server: grpc.aio.Server, settings: Settings) -> int:
    try:
        return server.add_insecure_port(f"{settings.host}:{settings.grpc_port}")
    except RuntimeError as error:
        raise PortTaken(
            f"Port {settings.grpc_port} of {settings.host} is taken by another program; "
            "choose another with --grpc-port."
        ) from error


def _gateway(settings: Settings, grpc_port: int) -> Gateway:
    return Gateway(
        envoy=find_envoy(settings.envoy),
        rest_host=settings.host,
        rest_port=settings.rest_port,
        grpc_host=settings.host,
        grpc_port=grpc_port,
        work_dir=settings.data / "gateway",
        log_path=None,
    )


@asynccontextmanager
async def _working(settings: Settings, built: _Built) -> AsyncIterator[asyncio.TaskGroup]:
    """Keep everything going that works by itself; ends it at the end of the block."""
    kept = retention.Kept(
        events_for=timedelta(days=settings.events_kept_days),
        events_most=settings.events_kept_rows,
        keys_for=timedelta(days=settings.idempotency_kept_days),
    )
    async with asyncio.TaskGroup() as tasks:
        own = [
            tasks.create_task(built.engine.run(), name="engine"),
            tasks.create_task(built.deleter.run(), name="deletions"),
            tasks.create_task(built.from_uris.run(), name="imports"),
            tasks.create_task(built.keys.note_uses(), name="keys"),
            tasks.create_task(built.tails.run(), name="watches"),
            tasks.create_task(retention.run(built.parts.database, kept), name="upkeep"),
        ]
        try:
            yield tasks
        finally:
            for task in own:
                task.cancel()


async def _drain(
    settings: Settings,
    server: grpc.aio.Server,
    gateway: Gateway | None,
    built: _Built,
    healthy: health.aio.HealthServicer,
) -> None:
    """Take nothing new, give what is in hand its time, all in all no longer than that, end."""
    loop = asyncio.get_running_loop()
    until = loop.time() + settings.drain_seconds
    await healthy.enter_graceful_shutdown()
    built.tails.drain()
    built.engine.drain()
    async with asyncio.TaskGroup() as draining:
        draining.create_task(_idle(built.engine, settings.drain_seconds), name="draining")
        if gateway is not None:
            draining.create_task(gateway.drain(settings.drain_seconds), name="draining the gateway")
    await server.stop(max(0.0, until - loop.time()))


async def _idle(engine: Engine, seconds: float) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await engine.idle()


@contextmanager
def _signals(stop: Callable[[], None]) -> Iterator[None]:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)
    try:
        yield
    finally:
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)


def write_log(level: str, stream: TextIO) -> None:
    """Log to a stream, a line an entry."""
    logging.basicConfig(
        level=level, stream=stream, format="%(asctime)s %(levelname)s %(name)s %(message)s"
    )
    for talkative in ("alembic", "httpx2"):  # a line for every plugin, for every call to a provider
        logging.getLogger(talkative).setLevel(logging.WARNING)


def opened(
    settings: Settings, *, exclusive: bool = True, migrating: bool = True
) -> contextlib.AbstractAsyncContextManager[Database]:
    """Open the database that the settings name; not `exclusive`, beside a server that uses it.

    Raises:
        Unavailable: it can't be used, or has an older schema and is not to be migrated.
    """
    if settings.database_url is None:
        return open_sqlite(settings.data, exclusive=exclusive)
    try:
        from promptreel_server.store.database.postgres import open_postgres
    except ImportError as error:
        raise Unavailable(
            "PostgreSQL needs more libraries; pip install 'promptreel[postgres]'."
        ) from error
    return open_postgres(settings.database_url, migrating=migrating)


def media_folders(settings: Settings) -> tuple[FileBlobs, Thumbnails]:
    """Where the bytes of media are, and their thumbnails."""
    folder = settings.media_folder or settings.data
    return FileBlobs(folder / "blobs"), Thumbnails(folder / "thumbnails")
