"""Media items: videos, audio and still images, all called videos on the wire."""

from promptreel_client.requests import videos as ask
from promptreel_client.resources.methods import (
    AsyncResource,
    Resource,
    async_calls,
    async_lists,
    async_uploads,
    calls,
    lists,
    uploads,
)


class Videos(Resource):
    """What can be asked of media items."""

    upload = uploads(ask.upload)
    create = calls(ask.create)
    retrieve = calls(ask.retrieve)
    delete = calls(ask.delete)
    get_deletion = calls(ask.get_deletion)
    list_segments = lists(ask.list_segments)
    list_playground = lists(ask.list_playground)
    list_prompt_runs = lists(ask.list_prompt_runs)
    batch_retrieve = calls(ask.batch_retrieve)
    batch_status = calls(ask.batch_status)
    batch_segments = calls(ask.batch_segments)
    thumbnail = calls(ask.thumbnail)
    gif = calls(ask.gif)


class AsyncVideos(AsyncResource):
    """What can be asked of media items."""

    upload = async_uploads(ask.upload)
    create = async_calls(ask.create)
    retrieve = async_calls(ask.retrieve)
    delete = async_calls(ask.delete)
    get_deletion = async_calls(ask.get_deletion)
    list_segments = async_lists(ask.list_segments)
    list_playground = async_lists(ask.list_playground)
    list_prompt_runs = async_lists(ask.list_prompt_runs)
    batch_retrieve = async_calls(ask.batch_retrieve)
    batch_status = async_calls(ask.batch_status)
    batch_segments = async_calls(ask.batch_segments)
    thumbnail = async_calls(ask.thumbnail)
    gif = async_calls(ask.gif)
