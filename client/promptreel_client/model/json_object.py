"""JSON objects as Python holds them."""

from typing import Any

JsonObject = dict[str, Any]
"""Keys to strings, numbers (whole ones as int), booleans, None, lists and further objects."""
