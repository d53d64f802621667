"""The files of the contract that define services."""

from promptreel.v2 import (
    account_pb2,
    api_key_pb2,
    event_pb2,
    import_job_pb2,
    index_pb2,
    prompt_pb2,
    prompt_run_pb2,
    rest_pb2,
    video_pb2,
)

FILES = (
    index_pb2.DESCRIPTOR,
    video_pb2.DESCRIPTOR,
    import_job_pb2.DESCRIPTOR,
    prompt_pb2.DESCRIPTOR,
    prompt_run_pb2.DESCRIPTOR,
    event_pb2.DESCRIPTOR,
    api_key_pb2.DESCRIPTOR,
    account_pb2.DESCRIPTOR,
    rest_pb2.DESCRIPTOR,
)
"""In the order of the reference."""
