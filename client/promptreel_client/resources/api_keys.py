"""API keys: who calls, and how far the caller may reach."""

from promptreel_client.requests import api_keys as ask
from promptreel_client.resources.methods import AsyncResource, Resource, async_calls, calls


class ApiKeys(Resource):
    """What can be asked of API keys."""

    create = calls(ask.create)
    list = calls(ask.list_all)
    retrieve = calls(ask.retrieve)
    revoke = calls(ask.revoke)
    rotate = calls(ask.rotate)
    delete = calls(ask.delete)


class AsyncApiKeys(AsyncResource):
    """What can be asked of API keys."""

    create = async_calls(ask.create)
    list = async_calls(ask.list_all)
    retrieve = async_calls(ask.retrieve)
    revoke = async_calls(ask.revoke)
    rotate = async_calls(ask.rotate)
    delete = async_calls(ask.delete)
