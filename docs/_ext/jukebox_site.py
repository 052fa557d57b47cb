"""The jukebox of the site: its page, and the model files that it reads, are built with the site."""

import sys
from pathlib import Path
from typing import Any


def make_folders(app: Any, config: Any) -> None:
    """Make the folders of other files than sources before Sphinx looks for them."""
    for folder in config.html_extra_path:
        (Path(app.srcdir) / folder).mkdir(parents=True, exist_ok=True)


def build_page(app: Any) -> None:
    """Build the page in a folder that Sphinx copies to the site."""
    sys.path.insert(0, str(Path(app.srcdir) / "jukebox"))
    try:
        from build import build
    finally:
        del sys.path[0]
    lastfm = app.config.jukebox_lastfm
    for folder in app.config.html_extra_path:
        build(Path(app.srcdir) / folder / "jukebox", Path(lastfm) if lastfm else None)


def setup(app: Any) -> dict[str, bool]:
    """Register the extension. `-D jukebox_lastfm=FOLDER` adds the artists of Last.fm."""
    app.add_config_value("jukebox_lastfm", "", "html", types=(str,))
    app.connect("config-inited", make_folders, priority=100)
    app.connect("builder-inited", build_page)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
