"""The same call as FastAPI people write it: key check, one row by id, a pydantic answer.

Run as `python -m benchmarks.api.fastapi_server DATA_FOLDER`; prints its port and serves until
killed. It reads the same rows of the same file through SQLAlchemy's asyncio side, with the same
pool settings, remembers keys as long, and runs on uvloop and httptools.
"""

import hashlib
import socket
import sys
import time
from pathlib import Path
from typing import Annotated, Any

import uvicorn
import uvloop
from fastapi import Depends, FastAPI, Header, HTTPException
from sqlalchemy import Row, select
from sqlalchemy.ext.asyncio import create_async_engine

from benchmarks.api.answers import PromptRun, StopState
from promptreel_server.store.database.sqlite import FILE_NAME, READERS
from promptreel_server.store.schema.tables import api_keys, runs

REMEMBERED_SECONDS = 5.0

app = FastAPI()
engine = create_async_engine(
    f"sqlite+aiosqlite:///{Path(sys.argv[1]) / FILE_NAME}",
    pool_size=READERS,
    max_overflow=0,
    pool_reset_on_return=None,
    isolation_level="AUTOCOMMIT",
)
known: dict[str, tuple[float, Row[Any]]] = {}


async def authenticate(x_api_key: Annotated[str, Header()]) -> Row[Any]:
    """Answer the key's row; 401 where there is none."""
    digest = hashlib.sha256(x_api_key.encode()).hexdigest()
    remembered = known.get(digest)
    if remembered and remembered[0] > time.monotonic():
        return remembered[1]
    async with engine.connect() as connection:
        statement = select(api_keys).where(api_keys.c.hash == digest)
        row = (await connection.execute(statement)).one_or_none()
    if row is None or row.revoked_at is not None:
        raise HTTPException(status_code=401, detail="unknown key")
    known[digest] = (time.monotonic() + REMEMBERED_SECONDS, row)
    return row


@app.get("/api/v2/prompt-runs/{run_id}")
async def get_prompt_run(run_id: str, key: Annotated[Row[Any], Depends(authenticate)]) -> PromptRun:
    """Answer one run of the key's owner."""
    async with engine.connect() as connection:
        statement = select(runs).where(runs.c.run_id == run_id, runs.c.owner_id == key.owner_id)
        row = (await connection.execute(statement)).one_or_none()
    if row is None:
        raise HTTPException(status_code=404, detail="no such run")
    return answer(row)


def answer(row: Row[Any]) -> PromptRun:
    """Turn a row into the answer."""
    settings = row.settings
    counted = {name: getattr(row, name) for name in PromptRun.COUNTS}
    return PromptRun(
        run_id=row.run_id,
        prompt_id=row.prompt_id,
        prompt_name=row.prompt["name"],
        prompt_type="custom",
        executed_at=row.executed_at,
        executed_by=row.executed_by,
        status=row.status.value,
        run_context={"target": row.target, **settings},
        error_message=row.error_message,
        video_segmentation_type=settings["video_segmentation"],
        audio_segmentation_type=settings["audio_segmentation"],
        image_segmentation_type="image",
        created_new_segments=row.created_new_segments,
        processing_model=settings["processing_model"],
        total_video_seconds=row.total_seconds,
        enable_transcription=settings["enable_transcription"],
        enable_image_embedding=settings["enable_image_embedding"],
        video_level_enabled=row.prompt["video_level"] is not None,
        video_level_total_items=row.video_level_total,
        video_level_completed_items=row.video_level_completed,
        video_level_failed_items=row.video_level_failed,
        video_level_partial_items=row.video_level_partial,
        stop_state=StopState(
            requested_at=row.stop_requested_at, requested_by=row.stop_requested_by
        ),
        **counted,
    )


async def serve() -> None:
    """Serve on a free port."""
    config = uvicorn.Config(app, loop="uvloop", http="httptools", log_level="warning")
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        print(listener.getsockname()[1], flush=True)
        await uvicorn.Server(config).serve(sockets=[listener])


if __name__ == "__main__":
    uvloop.run(serve())
