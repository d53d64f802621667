"""One owner for each form of the vendor's client, with media and a prompt that tests only read."""

import uuid
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from promptreel_server.domain.key import Scope
from tests import footage
from tests.compat.vendor import Form, vendor_client
from tests.owners import Owners
from tests.served import Served

SCHEMA = {
    "type": "object",
    "properties": {
        "summary": {"type": "string"},
        "count": {"type": "integer"},
        "people": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {"emotion": {"type": "string"}},
                "required": ["emotion"],
            },
        },
    },
    "required": ["summary", "count", "people"],
}

WHOLE_SCHEMA = {
    "type": "object",
    "properties": {"story": {"type": "string"}},
    "required": ["story"],
}

VIDEO_LEVEL = {
    "instructions_text": "Tell the story of the whole medium.",
    "json_schema": WHOLE_SCHEMA,
    "included_segment_fields": ["summary"],
}

CLIP_SECONDS = 12

Opener = Callable[..., Any]


@dataclass(frozen=True, kw_only=True)
class Stage:
    """An owner, a client of hers, an index with one clip of 12 s, a prompt with `video_level`."""

    form: Form
    owner: str
    key: str
    client: Any
    index_id: str
    video_id: str
    prompt_id: str

    def execute(self, **changes: Any) -> Any:
        """Execute the prompt over the clip in 6 segments of 2 s, unless `changes` say else.

        A model with a script gets a prompt of its own: no call is answered from an earlier one.
        """
        scripted = changes.get("processing_model", "canned").startswith("canned:")
        asked: dict[str, Any] = {
            "prompt_id": self.novel_prompt_id() if scripted else self.prompt_id,
            "target": {"type": "videos", "video_ids": [self.video_id]},
            "video_segmentation_type": "fixed",
            "video_segment_duration": 2,
            "processing_model": "canned",
            "enable_image_embedding": False,
        }
        return self.client.prompt_runs.execute(**{**asked, **changes})

    def finished(self, **changes: Any) -> Any:
        """Execute and wait for the end."""
        return self.ended(self.execute(**changes).run_id)

    def ended(self, run_id: str) -> Any:
        """Wait for the end of a run."""
        return self.client.prompt_runs.wait_for_completion(run_id, poll_interval=0.05, timeout=60)

    def prompt(self, name: str = "People", **changes: Any) -> Any:
        """Make another prompt."""
        asked: dict[str, Any] = {
            "name": name,
            "prompt_text": "Say who is to be seen and how they feel.",
            "json_schema": SCHEMA,
        }
        return self.client.prompts.create(**{**asked, **changes})

    def novel_prompt_id(self) -> str:
        """Make a prompt with `video_level` that asks what nobody asked before."""
        asked = f"Say what is to be seen in segment {uuid.uuid4().hex}."
        prompt_id: str = self.prompt(prompt_text=asked, video_level=VIDEO_LEVEL).prompt_id
        return prompt_id

    def upload(self, file: Any = None, *, title: str = "Clip", index_id: str | None = None) -> str:
        """Take in a file, the clip unless another is given; answers the media item's id."""
        job = self.client.videos.upload(
            file=clip() if file is None else file, title=title, index_id=index_id
        )
        done = self.client.import_jobs.wait_for_completion(job.job_id, poll_interval=0.05)
        video_id: str = done.video_ids[0]
        return video_id


def clip() -> Any:
    """The path of the clip that stages have; it has no sound."""
    return footage.shots(4, 4, 4, sound=False).path


def _stage(form: Form, owner: str, key: str, client: Any) -> Stage:
    index = client.indexes.create(name="Archive")
    job = client.videos.upload(file=clip(), title="Clip", index_id=index.index_id)
    job = client.import_jobs.wait_for_completion(job.job_id, poll_interval=0.05)
    prompt = client.prompts.create(
        name="Scenes",
        prompt_text="Say what is to be seen in this segment.",
        json_schema=SCHEMA,
        description="What happens.",
        video_level=VIDEO_LEVEL,
    )
    return Stage(
        form=form,
        owner=owner,
        key=key,
        client=client,
        index_id=index.index_id,
        video_id=job.video_ids[0],
        prompt_id=prompt.prompt_id,
    )


@pytest.fixture(scope="session", params=["sync", "async"])
def stage(request: pytest.FixtureRequest, serving: Served, owners: Owners) -> Iterator[Stage]:
    owner = owners.fresh()
    key = owners.key(owner)
    with vendor_client(request.param, api_key=key, base_url=serving.api) as client:
        yield _stage(request.param, owner, key, client)


@pytest.fixture
def opened(stage: Stage, serving: Served, owners: Owners) -> Iterator[Opener]:
    """Opens further clients of the stage's form: of its owner, of another, or with any key."""
    with ExitStack() as stack:

        def open_client(
            *, owner: str | None = None, scope: Scope = Scope.ADMIN, key: str | None = None
        ) -> Any:
            secret = owners.key(owner, scope) if key is None else key
            opening: AbstractContextManager[Any] = vendor_client(
                stage.form, api_key=secret, base_url=serving.api
            )
            return stack.enter_context(opening)

        yield open_client


@pytest.fixture
def stranger(opened: Opener) -> Any:
    """A client of somebody else."""
    return opened()


@pytest.fixture
def raw(serving: Served, stage: Stage) -> Iterator[httpx.Client]:
    """A bare HTTP client with the key of the stage."""
    with httpx.Client(base_url=serving.api, headers={"X-API-Key": stage.key}, timeout=60) as opened:
        yield opened
