"""Prompts: what is asked of each segment, and of the whole media item."""

from promptreel_client.requests import prompts as ask
from promptreel_client.resources.methods import AsyncResource, Resource, async_calls, calls


class Prompts(Resource):
    """What can be asked of prompts."""

    create = calls(ask.create)
    list = calls(ask.list_all)
    retrieve = calls(ask.retrieve)
    update = calls(ask.update)
    delete = calls(ask.delete)
    usage = calls(ask.usage)
    test_schema = calls(ask.test_schema)


class AsyncPrompts(AsyncResource):
    """What can be asked of prompts."""

    create = async_calls(ask.create)
    list = async_calls(ask.list_all)
    retrieve = async_calls(ask.retrieve)
    update = async_calls(ask.update)
    delete = async_calls(ask.delete)
    usage = async_calls(ask.usage)
    test_schema = async_calls(ask.test_schema)
