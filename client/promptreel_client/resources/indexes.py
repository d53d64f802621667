"""Indexes: named collections of media items."""

from promptreel_client.requests import indexes as ask
from promptreel_client.resources.methods import (
    AsyncResource,
    Resource,
    async_calls,
    async_lists,
    calls,
    lists,
)


class Indexes(Resource):
    """What can be asked of indexes."""

    create = calls(ask.create)
    retrieve = calls(ask.retrieve)
    list = lists(ask.list_all)
    delete = calls(ask.delete)
    get_deletion = calls(ask.get_deletion)
    list_videos = lists(ask.list_videos)
    list_prompt_runs = lists(ask.list_prompt_runs)


class AsyncIndexes(AsyncResource):
    """What can be asked of indexes."""

    create = async_calls(ask.create)
    retrieve = async_calls(ask.retrieve)
    list = async_lists(ask.list_all)
    delete = async_calls(ask.delete)
    get_deletion = async_calls(ask.get_deletion)
    list_videos = async_lists(ask.list_videos)
    list_prompt_runs = async_lists(ask.list_prompt_runs)
