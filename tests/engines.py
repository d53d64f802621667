"""An engine over a real store with everything slow left out: canned models, drawn media facts."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from fractions import Fraction
from pathlib import Path
from typing import NoReturn

from promptreel_server.domain.ids import PROMPT, new_id
from promptreel_server.domain.media import MediaFacts, MediaItem
from promptreel_server.domain.prompt import Prompt, SemanticIndexing, VideoLevel
from promptreel_server.domain.retry import Retry
from promptreel_server.domain.run import Run, RunSettings
from promptreel_server.domain.segment import SegmentationMode
from promptreel_server.domain.target import Target, TargetType
from promptreel_server.engine.admission.run_orders import Order
from promptreel_server.engine.dispatch.in_process import LocalDispatcher
from promptreel_server.engine.dispatch.stop_flags import Stops
from promptreel_server.engine.drive.resources import Bounds, Lazy, Means
from promptreel_server.engine.engine import Engine
from promptreel_server.engine.model_calls.concurrency import LaneLimits, Lanes
from promptreel_server.engine.model_calls.retry_policy import AttemptPolicy
from promptreel_server.errors import Unavailable
from promptreel_server.extractors.canned.extractor import CannedExtractor, CannedScript
from promptreel_server.extractors.extractor import Extraction, ExtractionRequest, Extractor
from promptreel_server.media.frames.stills import Still
from promptreel_server.media.frames.thumbnails import Thumbnails
from promptreel_server.store.catalogue import media, prompts
from promptreel_server.store.database.database import Database
from promptreel_server.store.runs import retries, runs
from tests.eventually import eventually
from tests.media_items import FACTS, media_item

OWNER = "owner"
LANE = LaneLimits()
QUICK = AttemptPolicy(shortest_pause=0.01, longest_pause=0.05)
SCHEMA = {
    "type": "object",
    "properties": {"summary": {"type": "string"}, "people": {"type": "integer"}},
    "required": ["summary"],
}


class NoPictures:
    """Pictures of media that have none to show."""

    async def representative_frames(
        self, path: Path, facts: MediaFacts, start: float, end: float, count: int
    ) -> list[Still]:
        return []


class Somewhere:
    """Bytes that nobody reads."""

    def path(self, sha256: str) -> Path:
        return Path("/nowhere") / sha256


@dataclass
class Canned:
    """A factory whose every model is one canned extractor; its script can be changed.

    `asked` counts the extractions that were asked for.
    """

    script: CannedScript = field(default_factory=CannedScript)
    made: dict[str, Extractor] = field(default_factory=dict)
    asked: int = 0

    def known_models(self) -> tuple[str, ...]:
        return ("canned",)

    def extractor(self, processing_model: str) -> Extractor:
        if processing_model not in self.made:
            self.made[processing_model] = _Counted(self, processing_model)
        return self.made[processing_model]

    def change(self, script: CannedScript) -> None:
        self.script = script
        self.made.clear()


class _Counted(CannedExtractor):
    """A canned extractor that tells its factory of every extraction."""

    def __init__(self, canned: Canned, model: str) -> None:
        super().__init__(canned.script, model=model)
        self._canned = canned

    async def extract(self, request: ExtractionRequest) -> Extraction:
        self._canned.asked += 1
        return await super().extract(request)


@dataclass
class Rig:
    """An engine that runs, and what a test needs to order from it."""

    database: Database
    engine: Engine
    canned: Canned
    means: Means

    async def prompt(self, *, video_level: bool = False) -> Prompt:
        made = Prompt(
            prompt_id=new_id(PROMPT),
            owner_id=OWNER,
            name="Scenes",
            description="",
            prompt_text="Say what happens in the scene.",
            json_schema=SCHEMA,
            video_level=VideoLevel(instructions_text="Sum it up.", json_schema=SCHEMA)
            if video_level
            else None,
            semantic_indexing=SemanticIndexing(),
            is_active=True,
            created_at=datetime.now(UTC),
        )
        await self.database.write(lambda tx: prompts.insert_prompt(tx, made))
        return made

    async def add(self, *, seconds: int, content: str = "one") -> MediaItem:
        """Put a silent video of a length, with bytes of its own if told, into the store."""
        facts = replace(FACTS, start=Fraction(0), duration=Fraction(seconds), audio_stream=None)
        made = media_item(OWNER, facts=facts, content=content)
        await self.database.write(lambda tx: media.insert_item(tx, made))
        return made

    async def execute(
        self, prompt: Prompt, items: Sequence[MediaItem], *, seconds: int = 10
    ) -> Run:
        """Order a run of `fixed` segments over these media items and set it going."""
        order = self.order(prompt, items, seconds=seconds)
        run = await self.accept(order)
        await self.engine.begin(run.run_id)
        return run

    async def accept(self, order: Order) -> Run:
        """Write the run of an order, without setting it going."""
        vetted = await self.engine.vet(order)
        return await self.database.write(lambda tx: self.engine.accept(tx, order, vetted))

    def order(self, prompt: Prompt, items: Sequence[MediaItem], *, seconds: int = 10) -> Order:
        """What asks for a run of `fixed` segments over these media items."""
        return Order(
            owner_id=OWNER,
            ordered_by="key_test",
            prompt_id=prompt.prompt_id,
            target=Target(type=TargetType.VIDEOS, video_ids=tuple(item.video_id for item in items)),
            settings=RunSettings(
                video_segmentation=SegmentationMode.FIXED,
                video_segment_duration=seconds,
                processing_model="canned",
                enable_transcription=False,
                enable_image_embedding=False,
            ),
        )

    async def run(self, run_id: str) -> Run:
        return await self.database.read(lambda c: runs.fetch(c, OWNER, run_id))

    async def asked(self, least: int = 1) -> None:
        """Wait until so many extractions were asked for."""

        async def look() -> bool:
            return self.canned.asked >= least

        await eventually(look)

    async def retried(self, retry: Retry) -> Retry:
        """Wait until a retry has ended."""

        async def look() -> Retry | None:
            now = await self.database.read(lambda c: retries.load(c, retry.retry_id))
            return now if now is not None and now.status.terminal else None

        return await eventually(look)

    async def ended(self, run_id: str) -> Run:
        """Wait until a run has ended."""

        async def look() -> Run | None:
            run = await self.run(run_id)
            return run if run.status.terminal else None

        return await eventually(look)


def _none() -> NoReturn:
    raise Unavailable("There is no such model here.")


@asynccontextmanager
async def rig(
    database: Database,
    script: CannedScript | None = None,
    *,
    stalled_after: float = 600.0,
    policy: AttemptPolicy = QUICK,
    lane: LaneLimits = LANE,
    segments_in_flight: int = 64,
) -> AsyncIterator[Rig]:
    """Run an engine over a database for the length of the block.

    `segments_in_flight` are those of one media item, `lane` bounds the calls to the model.
    """
    canned = Canned(script or CannedScript())
    means = Means(
        database=database,
        blobs=Somewhere(),
        pictures=NoPictures(),
        thumbnails=Thumbnails(Path("/nowhere")),
        extractors=canned,
        transcriber=Lazy(_none),
        embedder=Lazy(_none),
        lanes=Lanes(lane),
        stops=Stops(database),
        policy=policy,
        bounds=Bounds(segments_in_flight=segments_in_flight),
    )
    engine = Engine(means, LocalDispatcher(), stalled_after=stalled_after)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(engine.run())
        try:
            yield Rig(database=database, engine=engine, canned=canned, means=means)
        finally:
            engine.drain()
