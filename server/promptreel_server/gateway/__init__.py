"""The gateway: a real Envoy in front of the gRPC port, which adds REST and gRPC-web."""

from promptreel_server.gateway.binary import find_envoy
from promptreel_server.gateway.gateway import Gateway

__all__ = ["Gateway", "find_envoy"]
