"""Lists fetch their pages while they are gone through, and no sooner."""

import asyncio
from typing import Any

import pytest

from promptreel.v2 import import_job_pb2, index_pb2, page_pb2, prompt_run_pb2, run_pb2
from promptreel_client import AsyncClient, Client, errors
from tests.unit.client.callers import Caller
from tests.unit.client.scripted import Scripted

RUNS = [run_pb2.PromptRun(run_id=f"run_{number}") for number in range(7)]


def page_of_runs(request: Any, context: Any) -> Any:
    start = int(request.cursor or 0)
    limit = request.limit or 3
    more = start + limit < len(RUNS)
    pagination = page_pb2.Pagination(
        limit=limit, has_more=more, next_cursor=str(start + limit) if more else None
    )
    return prompt_run_pb2.ListPromptRunsResponse(
        data=RUNS[start : start + limit], pagination=pagination
    )


@pytest.fixture(autouse=True)
def _runs(server: Scripted) -> None:
    server.on("ListPromptRuns", page_of_runs)


def test_a_list_is_gone_through_across_pages(server: Scripted, caller: Caller) -> None:
    runs = caller.collect(lambda client: client.prompt_runs.list(limit=3))
    assert [run.run_id for run in runs] == [run.run_id for run in RUNS]
    assert [seen.request.cursor for seen in server.seen] == ["", "3", "6"]


def test_every_page_is_asked_for_with_the_same_filters(server: Scripted, caller: Caller) -> None:
    caller.collect(lambda client: client.prompt_runs.list(prompt_id="p", status="failed"))
    assert {(seen.request.prompt_id, seen.request.status) for seen in server.seen} == {("p", 5)}


def test_a_list_that_nobody_goes_through_makes_no_call(server: Scripted, caller: Caller) -> None:
    caller.collect(lambda client: client.prompt_runs.list(), most=0)
    assert server.seen == []


def test_only_the_pages_that_are_needed_are_fetched(server: Scripted, caller: Caller) -> None:
    runs = caller.collect(lambda client: client.prompt_runs.list(limit=3), most=4)
    assert len(runs) == 4
    assert len(server.seen) == 2


def test_one_page_says_where_the_next_one_starts(server: Scripted) -> None:
    with Client(server.address, api_key="sk") as client:
        pager = client.prompt_runs.list(limit=3)
        first = pager.page()
        assert (len(first), first.has_more, first.next_cursor) == (3, True, "3")
        assert pager.next_cursor == "3"
        last = pager.page("6")
        assert [run.run_id for run in last] == ["run_6"]
        assert not last.has_more
        assert pager.next_cursor is None


def test_a_list_can_start_at_a_cursor(server: Scripted, caller: Caller) -> None:
    runs = caller.collect(lambda client: client.prompt_runs.list(limit=3, cursor="6"))
    assert [run.run_id for run in runs] == ["run_6"]


def test_pages_can_be_gone_through_as_pages(server: Scripted) -> None:
    async def sizes() -> list[int]:
        async with AsyncClient(server.address, api_key="sk") as client:
            return [len(page) async for page in client.prompt_runs.list(limit=3).pages()]

    with Client(server.address, api_key="sk") as client:
        assert [len(page) for page in client.prompt_runs.list(limit=3).pages()] == [3, 3, 1]
    assert asyncio.run(sizes()) == [3, 3, 1]


def test_pages_of_items_are_gone_through_alike(server: Scripted, caller: Caller) -> None:
    def outputs(request: Any, context: Any) -> Any:
        item = import_job_pb2.ImportOutput(file_id=f"after {request.cursor}")
        next_cursor = None if request.cursor else "c"
        return import_job_pb2.ImportOutputs(items=[item], next_cursor=next_cursor)

    server.on("ListImportJobOutputs", outputs)
    found = caller.collect(lambda client: client.import_jobs.outputs("job_1"))
    assert [output.file_id for output in found] == ["after ", "after c"]


def test_an_empty_list_ends_at_once(server: Scripted, caller: Caller) -> None:
    server.on("ListIndexes", lambda request, context: index_pb2.ListIndexesResponse())
    assert caller.collect(lambda client: client.indexes.list()) == []


def test_a_word_that_is_none_is_refused_before_any_call(server: Scripted, caller: Caller) -> None:
    with pytest.raises(errors.InvalidRequestError, match="completed_with_failures") as caught:
        caller.collect(lambda client: client.prompt_runs.list(status="done"))
    assert caught.value.field_violations[0].field == "status"
    assert server.seen == []
