"""Links from a page to files of the repository outside docs/ lead to the repository on the web."""

import re
from pathlib import Path
from typing import Any

_LINK = re.compile(r"\]\(\.\./([^)]+)\)")
_PAGES = {"CHANGELOG.md": "changelog.md", "README.md": "index.md"}


def replace_links(app: Any, _page: str, source: list[str]) -> None:
    """Replace the relative links of one page, before Sphinx reads the page."""

    def replaced(link: re.Match[str]) -> str:
        path = link[1]
        if path in _PAGES:
            return f"]({_PAGES[path]})"
        kind = "tree" if (Path(app.srcdir).parent / path).is_dir() else "blob"
        return f"]({app.config.html_theme_options['github_url']}/{kind}/main/{path})"

    source[0] = _LINK.sub(replaced, source[0])


def setup(app: Any) -> dict[str, bool]:
    """Register the extension."""
    app.connect("source-read", replace_links)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
