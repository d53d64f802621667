"""Makes the data folder that both servers read: one API key and one finished-looking run."""

from dataclasses import dataclass
from datetime import UTC, datetime
from fractions import Fraction
from pathlib import Path

from promptreel_server.domain.ids import PROMPT, RUN, VIDEO, new_id
from promptreel_server.domain.key import Scope
from promptreel_server.domain.media import MediaFacts, MediaItem, MediaStatus, MediaType
from promptreel_server.domain.prompt import Prompt, SemanticIndexing, VideoLevel
from promptreel_server.domain.run import Run, RunSettings, RunStatus
from promptreel_server.domain.target import Target, TargetType
from promptreel_server.store.access import api_keys
from promptreel_server.store.catalogue import media
from promptreel_server.store.database.sqlite import open_sqlite
from promptreel_server.store.runs import runs
from promptreel_server.store.schema.transaction import Transaction

OWNER = "bench"
NOW = datetime(2026, 3, 1, tzinfo=UTC)
SCHEMA = {
    "type": "object",
    "properties": {
        "summary": {"type": "string"},
        "people": {"type": "array", "items": {"type": "string"}},
    },
    "required": ["summary"],
}


@dataclass(frozen=True, kw_only=True)
class Seed:
    """What the callers need to know."""

    secret: str
    run_id: str


async def seed(folder: Path) -> Seed:
    """Fill a fresh data folder."""
    secret = api_keys.new_secret()
    item = _media_item()
    run = _run(item.video_id)

    def fill(tx: Transaction) -> None:
        api_keys.create(tx, owner_id=OWNER, name="benchmark", scope=Scope.ADMIN, secret=secret)
        media.insert_item(tx, item)
        runs.accept(tx, run, [item])

    async with open_sqlite(folder) as database:
        await database.write(fill)
    return Seed(secret=secret, run_id=run.run_id)


def _media_item() -> MediaItem:
    facts = MediaFacts(
        media_type=MediaType.VIDEO, container="mov", start=Fraction(0), duration=Fraction(65)
    )
    return MediaItem(
        video_id=new_id(VIDEO),
        owner_id=OWNER,
        index_id=None,
        title="Harbour",
        source_uri="upload:harbour.mp4",
        status=MediaStatus.NOT_PROCESSED,
        sha256="0" * 64,
        size_bytes=1000,
        facts=facts,
        created_at=NOW,
    )


def _run(video_id: str) -> Run:
    prompt = Prompt(
        prompt_id=new_id(PROMPT),
        owner_id=OWNER,
        name="Scene summary",
        description="What is seen and said in each segment.",
        prompt_text="Describe what is seen and said, in two sentences.",
        json_schema=SCHEMA,
        video_level=VideoLevel(instructions_text="Summarise the whole.", json_schema=SCHEMA),
        semantic_indexing=SemanticIndexing(),
        is_active=True,
        created_at=NOW,
    )
    return Run(
        run_id=new_id(RUN),
        owner_id=OWNER,
        prompt=prompt,
        target=Target(type=TargetType.VIDEOS, video_ids=(video_id,)),
        settings=RunSettings(processing_model="local"),
        executed_at=NOW,
        executed_by=OWNER,
        status=RunStatus.PENDING,
    )
