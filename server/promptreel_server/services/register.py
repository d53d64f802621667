"""Puts all services before a gRPC server: what they need, and how they are added."""

from collections.abc import Callable
from dataclasses import dataclass

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from promptreel.v2 import (
    account_pb2_grpc,
    api_key_pb2_grpc,
    event_pb2_grpc,
    import_job_pb2_grpc,
    index_pb2_grpc,
    prompt_pb2_grpc,
    prompt_run_pb2_grpc,
    rest_pb2_grpc,
    video_pb2_grpc,
)
from promptreel_server.engine.engine import Engine
from promptreel_server.engine.library.media_imports import Imports
from promptreel_server.engine.library.previews import Previews
from promptreel_server.engine.library.uri_imports import UriImports
from promptreel_server.services.call import scopes
from promptreel_server.services.call.contract_files import FILES
from promptreel_server.services.call.cursors import Cursors
from promptreel_server.services.call.interceptor import Gate
from promptreel_server.services.call.key_cache import KeyRing
from promptreel_server.services.call.rate_limits import RateLimits
from promptreel_server.services.rest.rest import RestService, Typed
from promptreel_server.services.rpc.account import AccountService
from promptreel_server.services.rpc.api_keys import ApiKeyService
from promptreel_server.services.rpc.events import EventService
from promptreel_server.services.rpc.import_jobs import ImportJobService
from promptreel_server.services.rpc.indexes import IndexService
from promptreel_server.services.rpc.prompt_runs import PromptRunService, RunDefaults
from promptreel_server.services.rpc.prompts import PromptService
from promptreel_server.services.rpc.uploads import Uploads
from promptreel_server.services.rpc.videos import VideoService
from promptreel_server.services.watch.run_watches import Watches
from promptreel_server.services.watch.watch_hub import Tails
from promptreel_server.store.database.database import Database


@dataclass(frozen=True, kw_only=True)
class Parts:
    """What the services stand on."""

    database: Database
    engine: Engine
    imports: Imports
    from_uris: UriImports
    previews: Previews
    tails: Tails
    keys: KeyRing
    rate_limits: RateLimits
    cursors: Cursors
    run_defaults: RunDefaults
    on_deletion: Callable[[], None]
    """Told when something is to be deleted."""


def gate(parts: Parts) -> Gate:
    """Make the interceptor that a server must be created with: the only one, outermost.

    Raises:
        ValueError: a method of the contract has no scope.
    """
    scopes.check_complete(FILES)
    return Gate(parts.keys, parts.rate_limits)


def register(server: grpc.aio.Server, parts: Parts) -> health.aio.HealthServicer:
    """Add every service, health and reflection; answers the health service, serving."""
    typed = _typed(parts)
    index_pb2_grpc.add_IndexServiceServicer_to_server(typed.indexes, server)
    video_pb2_grpc.add_VideoServiceServicer_to_server(typed.videos, server)
    import_job_pb2_grpc.add_ImportJobServiceServicer_to_server(typed.import_jobs, server)
    prompt_pb2_grpc.add_PromptServiceServicer_to_server(PromptService(parts.database), server)
    prompt_run_pb2_grpc.add_PromptRunServiceServicer_to_server(typed.runs, server)
    event_pb2_grpc.add_EventServiceServicer_to_server(typed.events, server)
    api_key_pb2_grpc.add_ApiKeyServiceServicer_to_server(typed.api_keys, server)
    account_pb2_grpc.add_AccountServiceServicer_to_server(AccountService(), server)
    rest_pb2_grpc.add_RestServiceServicer_to_server(RestService(typed), server)
    return _add_health_and_reflection(server)


def _typed(parts: Parts) -> Typed:
    database, cursors = parts.database, parts.cursors
    watches = Watches(database, parts.tails)
    runs = PromptRunService(
        database=database,
        engine=parts.engine,
        cursors=cursors,
        watches=watches,
        defaults=parts.run_defaults,
    )
    uploads = Uploads(database, parts.imports)
    videos = VideoService(
        database=database,
        cursors=cursors,
        uploads=uploads,
        from_uris=parts.from_uris,
        previews=parts.previews,
        runs=runs,
        on_deletion=parts.on_deletion,
    )
    return Typed(
        indexes=IndexService(database, cursors, runs, parts.on_deletion),
        videos=videos,
        import_jobs=ImportJobService(database, cursors, parts.from_uris),
        api_keys=ApiKeyService(database, parts.keys),
        runs=runs,
        watches=watches,
        events=EventService(database, parts.tails),
        uploads=uploads,
    )


def _add_health_and_reflection(server: grpc.aio.Server) -> health.aio.HealthServicer:
    serving = health.aio.HealthServicer()
    health_pb2_grpc.add_HealthServicer_to_server(serving, server)
    names = [service.full_name for file in FILES for service in file.services_by_name.values()]
    health_name = health_pb2.DESCRIPTOR.services_by_name["Health"].full_name
    reflection.enable_server_reflection((*names, health_name, reflection.SERVICE_NAME), server)
    return serving
