import json
from functools import partial

import grpc
import pytest
from google.protobuf import json_format
from google.protobuf.message import Message

from promptreel.v2 import enums_pb2, import_job_pb2, index_pb2, prompt_pb2, video_pb2
from promptreel_server.services.messages.rest_json import render
from tests.service.caller import Caller, refusal


def test_an_index_is_created_read_and_listed(caller: Caller) -> None:
    made = caller.indexes.CreateIndex(
        index_pb2.CreateIndexRequest(name="Häfen"), metadata=caller.said()
    )
    found = caller.indexes.GetIndex(
        index_pb2.GetIndexRequest(index_id=made.index_id), metadata=caller.said()
    )
    listed = caller.indexes.ListIndexes(index_pb2.ListIndexesRequest(), metadata=caller.said())

    assert found == made
    assert list(listed.data) == [made]
    assert made.name == "Häfen"
    assert made.user_id == caller.owner
    assert made.index_id.startswith("idx_")
    assert not made.HasField("description")


@pytest.mark.parametrize("name", ["", "   ", "x" * 256, "a\x00b"])
def test_an_index_needs_a_name(caller: Caller, name: str) -> None:
    request = index_pb2.CreateIndexRequest(name=name)

    refused = refusal(lambda: caller.indexes.CreateIndex(request, metadata=caller.said()))

    assert refused.code is grpc.StatusCode.INVALID_ARGUMENT
    assert refused.violations == ("name",)
    [violation] = refused.envelope["details"]["field_violations"]
    assert violation["field"] == "name"


def test_pages_of_indexes_follow_each_other_to_the_end(caller: Caller) -> None:
    names = [f"Index {number}" for number in range(7)]
    for name in names:
        caller.index(name)

    seen, cursor = [], None
    while True:
        request = index_pb2.ListIndexesRequest(limit=3, cursor=cursor)
        page = caller.indexes.ListIndexes(request, metadata=caller.said())
        seen += [index.name for index in page.data]
        assert page.pagination.limit == 3
        if not page.pagination.has_more:
            break
        cursor = page.pagination.next_cursor

    assert sorted(seen) == names
    assert not page.pagination.HasField("next_cursor")


@pytest.mark.parametrize("limit", [0, -1, 1001])
def test_a_limit_out_of_range_is_refused(caller: Caller, limit: int) -> None:
    request = index_pb2.ListIndexesRequest(limit=limit)

    refused = refusal(lambda: caller.indexes.ListIndexes(request, metadata=caller.said()))

    assert refused.violations == ("limit",)


def _cursor(caller: Caller) -> str:
    caller.index("One")
    caller.index("Two")
    request = index_pb2.ListIndexesRequest(limit=1)
    page = caller.indexes.ListIndexes(request, metadata=caller.said())
    return page.pagination.next_cursor


def test_a_forged_cursor_is_refused(caller: Caller) -> None:
    good = _cursor(caller)
    flipped = good[:-1] + ("A" if good[-1] != "A" else "B")
    for cursor in ("x", "né", flipped, good + "AAAA", "A" * 5000):
        request = index_pb2.ListIndexesRequest(limit=1, cursor=cursor)
        call = partial(caller.indexes.ListIndexes, request, metadata=caller.said())
        assert refusal(call).reason == "invalid_cursor", cursor


def test_a_cursor_is_no_good_for_another_list_or_another_owner(
    caller: Caller, other: Caller
) -> None:
    cursor = _cursor(caller)
    elsewhere = video_pb2.ListPlaygroundVideosRequest(cursor=cursor)
    theirs = index_pb2.ListIndexesRequest(cursor=cursor)

    refused = refusal(lambda: caller.videos.ListPlaygroundVideos(elsewhere, metadata=caller.said()))
    assert refused.reason == "invalid_cursor"
    refused = refusal(lambda: other.indexes.ListIndexes(theirs, metadata=other.said()))
    assert refused.reason == "invalid_cursor"


def test_an_index_is_deleted_for_good(caller: Caller) -> None:
    index_id = caller.index()
    request = index_pb2.DeleteIndexRequest(index_id=index_id)

    begun = caller.indexes.DeleteIndex(request, metadata=caller.said())
    done = caller.until_deleted(index_id)
    again = caller.indexes.DeleteIndex(request, metadata=caller.said())

    assert begun.deletion_id == done.deletion_id == again.deletion_id
    assert begun.HasField("retry_after_seconds")
    assert not done.HasField("retry_after_seconds")
    get = index_pb2.GetIndexRequest(index_id=index_id)
    assert refusal(lambda: caller.indexes.GetIndex(get, metadata=caller.said())).http_status == 404


def test_what_was_never_deleted_has_no_deletion(caller: Caller) -> None:
    request = index_pb2.GetIndexDeletionRequest(index_id=caller.index())

    refused = refusal(lambda: caller.indexes.GetIndexDeletion(request, metadata=caller.said()))

    assert refused.http_status == 404


def test_rest_lists_indexes_as_a_bare_array_with_the_cursor_in_a_header(caller: Caller) -> None:
    caller.index("One")
    caller.index("Two")

    body, call = caller.rest.ListIndexes.with_call(
        index_pb2.ListIndexesRequest(limit=1), metadata=caller.said()
    )

    [index] = json.loads(body.data)
    assert body.content_type == "application/json"
    assert index["is_default"] is False
    assert "description" not in index
    headers = dict(call.initial_metadata())
    rest = index_pb2.ListIndexesRequest(limit=1, cursor=str(headers["x-next-cursor"]))
    page = caller.indexes.ListIndexes(rest, metadata=caller.said())
    assert {index["name"], page.data[0].name} == {"One", "Two"}


def test_the_rendered_json_is_that_of_protobuf(caller: Caller) -> None:
    caller.index("One")
    shipped = caller.prompts.ListPrompts(prompt_pb2.ListPromptsRequest(), metadata=caller.said())
    indexes = caller.indexes.ListIndexes(index_pb2.ListIndexesRequest(), metadata=caller.said())
    job = import_job_pb2.ImportJob(
        status=enums_pb2.ImportStatus.Value.failed,
        progress=import_job_pb2.ImportProgress(bytes_transferred=5e12),
    )
    job.failed_files.add().update({"error": "no", "none": None, "list": [1, 2.5, {"a": True}]})
    messages: list[Message] = [shipped, indexes, job]

    for message in messages:
        expected = json_format.MessageToDict(
            message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
        )
        assert json.loads(render(message)) == expected
    assert b'"bytes_transferred":5000000000000,' in render(job)


@pytest.mark.parametrize("name", ["a\x1b[31mb", "a\u202egpj.exe", "two\nlines", "bell\x07"])
def test_names_hold_no_characters_that_a_terminal_or_a_page_would_act_on(
    caller: Caller, name: str
) -> None:
    request = index_pb2.CreateIndexRequest(name=name)
    refused = refusal(lambda: caller.indexes.CreateIndex(request, metadata=caller.said()))
    assert "must not hold control or direction characters" in refused.message
