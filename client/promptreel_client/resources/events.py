"""Events: the news that something of the caller's changed, in order."""

from promptreel_client.requests import events as ask
from promptreel_client.resources.methods import AsyncResource, Resource, async_watches, watches


class Events(Resource):
    """What can be asked of events."""

    watch = watches(ask.watch)


class AsyncEvents(AsyncResource):
    """What can be asked of events."""

    watch = async_watches(ask.watch)
