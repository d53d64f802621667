"""Instants on the wire."""

from datetime import UTC, datetime, timedelta

from google.protobuf.timestamp_pb2 import Timestamp

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def timestamp(instant: datetime) -> Timestamp:
    """Turn an instant into its message."""
    seconds, micros = divmod((instant - _EPOCH) // _MICROSECOND, 1_000_000)
    return Timestamp(seconds=seconds, nanos=micros * 1000)


def maybe_timestamp(instant: datetime | None) -> Timestamp | None:
    """Turn an instant that may be missing into its message, or into none."""
    return None if instant is None else timestamp(instant)
