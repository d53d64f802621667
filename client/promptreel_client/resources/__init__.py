"""The client's methods, grouped by what they are about; each comes blocking and asyncio."""
