"""Tools for asyncio that have no subject of their own."""
