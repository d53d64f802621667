from fractions import Fraction

import pytest

from promptreel_server.domain.event import EventType
from promptreel_server.domain.index import DeletionStatus, Index
from promptreel_server.domain.media import MediaFacts, MediaItem, MediaStatus, MediaType
from promptreel_server.domain.page import Page, Slice
from promptreel_server.domain.target import Target, TargetType
from promptreel_server.errors import BeingDeleted, EmptyTarget, Invalid, NotFound
from promptreel_server.store import feed
from promptreel_server.store.catalogue import indexes, media
from promptreel_server.store.database.database import Database
from promptreel_server.store.deletion import deletions
from promptreel_server.store.schema.transaction import Transaction
from tests.media_items import media_item


async def _index(database: Database, owner: str = "ann", name: str = "Archive") -> Index:
    return await database.write(lambda tx: indexes.create(tx, owner, name))


async def _indexes(database: Database, owner: str) -> list[Index]:
    page = await database.read(lambda c: indexes.list_indexes(c, owner, Slice(limit=10)))
    return list(page.items)


async def _keep(database: Database, *items: MediaItem) -> None:
    def keep(tx: Transaction) -> None:
        for item in items:
            media.insert_item(tx, item)

    await database.write(keep)


async def _page(database: Database, index_id: str, wanted: Slice) -> Page[MediaItem]:
    return await database.read(lambda c: media.of_index(c, "ann", index_id, wanted))


async def _eligible(database: Database, target: Target, owner: str = "ann") -> list[MediaItem]:
    return await database.read(lambda c: media.eligible(c, owner, target))


async def test_an_index_is_kept_for_its_owner_alone(database: Database) -> None:
    index = await _index(database)

    assert await database.read(lambda c: indexes.fetch(c, "ann", index.index_id)) == index
    assert await _indexes(database, "ann") == [index]
    assert await _indexes(database, "bob") == []
    with pytest.raises(NotFound, match=index.index_id):
        await database.read(lambda c: indexes.fetch(c, "bob", index.index_id))


async def test_a_media_item_comes_back_with_exact_seconds(database: Database) -> None:
    item = media_item()
    await _keep(database, item)

    found = await database.read(lambda c: media.fetch(c, "ann", item.video_id))

    assert found == item
    assert found.facts.frame_rate == Fraction(30000, 1001)


async def test_an_image_without_streams_of_sound_comes_back_whole(database: Database) -> None:
    facts = MediaFacts(
        media_type=MediaType.IMAGE, container="png", start=Fraction(0), duration=Fraction(0)
    )
    item = media_item(facts=facts)
    await _keep(database, item)

    assert (await database.read(lambda c: media.fetch(c, "ann", item.video_id))).facts == facts


async def test_a_new_media_item_is_told_in_the_feed(database: Database) -> None:
    item = media_item(index_id="idx_1")
    await _keep(database, item)

    events = await database.read(lambda c: feed.after(c, "ann", 0, feed.EventFilter(), 10))

    assert [(e.event_type, e.video_id, e.index_id) for e in events] == [
        (EventType.MEDIA_CREATED, item.video_id, "idx_1")
    ]


async def test_media_of_somebody_else_are_not_found(database: Database) -> None:
    item = media_item("bob")
    await _keep(database, item)

    with pytest.raises(NotFound, match=item.video_id):
        await database.read(lambda c: media.fetch(c, "ann", item.video_id))
    with pytest.raises(NotFound, match=item.video_id):
        await database.read(lambda c: media.fetch_many(c, "ann", [item.video_id]))


async def test_many_come_in_the_order_asked_for_and_each_once(database: Database) -> None:
    items = [media_item(content=str(n)) for n in range(3)]
    await _keep(database, *items)
    wanted = [items[2].video_id, items[0].video_id, items[2].video_id]

    found = await database.read(lambda c: media.fetch_many(c, "ann", wanted))

    assert found == [items[2], items[0]]


async def test_pages_of_an_index_hold_every_item_once_while_more_come(database: Database) -> None:
    index = await _index(database)
    items = [media_item(index_id=index.index_id) for _ in range(7)]
    await _keep(database, media_item(), *items)

    seen: list[MediaItem] = []
    after = None
    while True:
        page = await _page(database, index.index_id, Slice(limit=3, after=after))
        seen += page.items
        after = page.after
        await _keep(database, media_item(index_id=index.index_id, title="Late"))
        if after is None:
            break

    assert [item.video_id for item in seen] == sorted(
        (item.video_id for item in items), reverse=True
    )


async def test_a_page_that_ends_exactly_says_that_nothing_follows(database: Database) -> None:
    await _keep(database, media_item(), media_item())

    page = await database.read(lambda c: media.of_index(c, "ann", None, Slice(limit=2)))

    assert len(page.items) == 2
    assert page.after is None


async def test_an_index_target_covers_its_own_media_only(database: Database) -> None:
    index = await _index(database)
    inside, outside = media_item(index_id=index.index_id), media_item()
    await _keep(database, inside, outside)

    covered = await _eligible(database, Target(type=TargetType.INDEX, index_id=index.index_id))

    assert covered == [inside]
    assert await _eligible(database, Target(type=TargetType.PLAYGROUND)) == [outside]


async def test_an_empty_target_says_so(database: Database) -> None:
    index = await _index(database)

    with pytest.raises(EmptyTarget, match=index.index_id):
        await _eligible(database, Target(type=TargetType.INDEX, index_id=index.index_id))
    with pytest.raises(EmptyTarget, match="playground"):
        await _eligible(database, Target(type=TargetType.PLAYGROUND))


async def test_an_unknown_index_or_media_item_is_named(database: Database) -> None:
    item = media_item()
    await _keep(database, item)

    with pytest.raises(NotFound, match="idx_none"):
        await _eligible(database, Target(type=TargetType.INDEX, index_id="idx_none"))
    named = Target(type=TargetType.VIDEOS, video_ids=(item.video_id, "vid_none"))
    with pytest.raises(NotFound, match="vid_none"):
        await _eligible(database, named)


async def test_named_media_must_be_in_the_index_that_is_named_too(database: Database) -> None:
    index = await _index(database)
    item = media_item()
    await _keep(database, item)

    target = Target(type=TargetType.VIDEOS, video_ids=(item.video_id,), index_id=index.index_id)
    with pytest.raises(Invalid, match=item.video_id):
        await _eligible(database, target)


async def test_media_being_deleted_are_left_out_or_refused_by_name(database: Database) -> None:
    index = await _index(database)
    going, staying = (media_item(index_id=index.index_id) for _ in range(2))
    await _keep(database, going, staying)
    await database.write(lambda tx: deletions.request_video(tx, "ann", going.video_id))

    covered = await _eligible(database, Target(type=TargetType.INDEX, index_id=index.index_id))

    assert covered == [staying]
    with pytest.raises(BeingDeleted, match=going.video_id):
        await _eligible(database, Target(type=TargetType.VIDEOS, video_ids=(going.video_id,)))


async def test_deleting_an_index_marks_its_media_and_refuses_runs(database: Database) -> None:
    index = await _index(database)
    item, other = media_item(index_id=index.index_id), media_item()
    await _keep(database, item, other)

    deletion = await database.write(lambda tx: deletions.request_index(tx, "ann", index.index_id))
    again = await database.write(lambda tx: deletions.request_index(tx, "ann", index.index_id))

    assert again == deletion
    assert deletion.status is DeletionStatus.DRAINING
    marked = await database.read(lambda c: media.with_deletion(c, deletion.deletion_id))
    assert [each.video_id for each in marked] == [item.video_id]
    with pytest.raises(BeingDeleted, match=index.index_id):
        await _eligible(database, Target(type=TargetType.INDEX, index_id=index.index_id))
    assert await _indexes(database, "ann") == []


async def test_a_video_of_an_index_in_deletion_answers_that_deletion(database: Database) -> None:
    index = await _index(database)
    item = media_item(index_id=index.index_id)
    await _keep(database, item)
    whole = await database.write(lambda tx: deletions.request_index(tx, "ann", index.index_id))

    single = await database.write(lambda tx: deletions.request_video(tx, "ann", item.video_id))

    assert single == whole


async def test_a_deletion_is_known_after_it_is_done_and_nobody_elses(database: Database) -> None:
    item = media_item()
    await _keep(database, item)
    begun = await database.write(lambda tx: deletions.request_video(tx, "ann", item.video_id))
    assert await database.read(deletions.unfinished) == [begun]

    await database.write(lambda tx: media.remove(tx, item.video_id))
    await database.write(
        lambda tx: deletions.advance(tx, begun.deletion_id, DeletionStatus.DELETED)
    )

    done = await database.read(lambda c: deletions.fetch(c, "ann", item.video_id))
    assert done.status is DeletionStatus.DELETED
    assert done.completed_at is not None
    assert await database.read(deletions.unfinished) == []
    with pytest.raises(NotFound):
        await database.read(lambda c: deletions.fetch(c, "bob", item.video_id))


async def test_bytes_are_counted_once_an_owner_and_used_by_all(database: Database) -> None:
    await _keep(
        database,
        media_item(content="same", size_bytes=500),
        media_item(content="same", size_bytes=500),
        media_item(content="other", size_bytes=70),
        media_item("bob", content="same", size_bytes=500),
    )
    shared = media_item(content="same").sha256

    anns = await database.read(lambda c: media.used(c, "ann"))
    assert anns == media.Used(items=3, bytes=570)
    assert await database.read(lambda c: media.used(c, "nobody")) == media.Used(items=0, bytes=0)
    assert await database.read(lambda c: media.blob_uses(c, shared)) == 3


async def test_a_status_is_noted_with_its_time(database: Database) -> None:
    item = media_item()
    await _keep(database, item)

    await database.write(lambda tx: media.set_status(tx, [item.video_id], MediaStatus.PROCESSED))
    await database.write(lambda tx: media.set_metadata_keys(tx, item.video_id, ["summary"]))

    found = await database.read(lambda c: media.fetch(c, "ann", item.video_id))
    assert found.status is MediaStatus.PROCESSED
    assert found.metadata_keys == ("summary",)
    assert found.updated_at is not None
