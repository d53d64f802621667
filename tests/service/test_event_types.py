"""Every type of event that the contract names is really written, and its row goes with it."""

from promptreel.v2 import event_pb2, event_pb2_grpc, import_job_pb2, video_pb2
from promptreel_server.domain.event import EventType
from tests import footage
from tests.service.caller import refusal
from tests.service.runner import Runner


def _told(runner: Runner) -> list[event_pb2.Event]:
    """All events of the owner up to now."""
    stub = event_pb2_grpc.EventServiceStub(runner.caller.channel)
    request = event_pb2.WatchEventsRequest(after_sequence=0)
    watching = stub.WatchEvents(request, metadata=runner.caller.said(), timeout=40)
    found: list[event_pb2.Event] = []
    for update in watching:
        if update.HasField("event"):
            assert update.sequence == len(found) + 1
            found.append(update.event)
        elif found:  # all is told, and it is quiet
            break
    watching.cancel()
    return found


def _import_by_uri(runner: Runner, name: str) -> import_job_pb2.ImportJob:
    caller = runner.caller
    request = video_pb2.CreateVideoRequest(
        title=name, video_uri=(caller.live.root / name).as_uri(), index_id=caller.index()
    )
    job = caller.videos.CreateVideo(request, metadata=caller.said())
    return caller.until_imported(job.job_id)


def _runs(runner: Runner) -> None:
    """Make runs that end in each of the ways there are, and retries that do."""
    video_id = runner.video()
    runner.finished(video_id)
    runner.finished(video_id, processing_model="canned:hopeless")
    for model in ("canned:flaky", "canned:blocked"):
        run = runner.finished(video_id, processing_model=model)
        failed = runner.manifest(run.run_id).videos[0].segments[0]
        retry = runner.retry(run.run_id, video_id, failed.segment_id, force=True)
        runner.retry_ended(retry)
    stopped = runner.execute(video_id, processing_model="canned:sluggish")
    runner.cancel(stopped.run_id)
    runner.ended(stopped.run_id)


def test_all_types_are_written_and_nothing_else(runner: Runner) -> None:
    root = runner.caller.live.root
    (root / "good.mp4").write_bytes(footage.shots(2, sound=False).path.read_bytes())
    (root / "bad.mp4").write_bytes(b"no film")
    _import_by_uri(runner, "good.mp4")
    failed = _import_by_uri(runner, "bad.mp4")
    again = import_job_pb2.RetryImportJobRequest(job_id=failed.job_id)
    runner.caller.jobs.RetryImportJob(again, metadata=runner.caller.said())
    runner.caller.until_imported(failed.job_id)
    _runs(runner)

    told = {event.event_type for event in _told(runner)}

    assert told == {event_type.value for event_type in EventType}


def test_a_stop_request_is_told_before_the_run_ends(runner: Runner) -> None:
    run = runner.execute(runner.video(), processing_model="canned:sluggish")
    runner.cancel(run.run_id)
    runner.cancel(run.run_id)
    runner.ended(run.run_id)

    told = [e for e in _told(runner) if e.run_id == run.run_id]

    stopping = [e for e in told if dict(e.payload).get("phase") == "stopping"]
    assert len(stopping) == 1
    assert told[-1].event_type == "prompt_run.cancelled"


def test_what_is_refused_writes_no_event(runner: Runner) -> None:
    runner.video()
    before = len(_told(runner))

    assert refusal(lambda: runner.execute("vid_nobody")).http_status == 404

    assert len(_told(runner)) == before
