"""The jukebox of the site: its page and the file of its model are built with the documentation."""

from typing import Any


def setup(app: Any) -> dict[str, bool]:
    """Register the extension."""
    return {"parallel_read_safe": True, "parallel_write_safe": True}
