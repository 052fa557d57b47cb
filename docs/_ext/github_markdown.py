"""What GitHub shows of a page, in the forms that Sphinx needs.

- A link to a file outside docs/ becomes a link to the repository on the web.
- A picture with a light and a dark file becomes two images, of which the theme shows one.
"""

import re
from pathlib import Path
from typing import Any

_LINK = re.compile(r"\]\(\.\./([^)]+)\)")
_PICTURE = re.compile(
    r'<picture>\s*<source [^>]*srcset="(?P<dark>[^"]+)">\s*'
    r'<img alt="(?P<alt>[^"]+)"\s+src="(?P<light>[^"]+)">\s*</picture>'
)
_PAGES = {"CHANGELOG.md": "changelog.md", "README.md": "index.md"}


def convert(app: Any, _page: str, source: list[str]) -> None:
    """Convert one page, before Sphinx reads it."""

    def link(found: re.Match[str]) -> str:
        path = found[1]
        if path in _PAGES:
            return f"]({_PAGES[path]})"
        kind = "tree" if (Path(app.srcdir).parent / path).is_dir() else "blob"
        return f"]({app.config.html_theme_options['github_url']}/{kind}/main/{path})"

    source[0] = _PICTURE.sub(_images, _LINK.sub(link, source[0]))


def _images(found: re.Match[str]) -> str:
    alt = " ".join(found["alt"].split())
    return "\n\n".join(
        f"```{{image}} {found[scheme]}\n:class: only-{scheme}\n:alt: {alt}\n```"
        for scheme in ("light", "dark")
    )


def setup(app: Any) -> dict[str, bool]:
    """Register the extension."""
    app.connect("source-read", convert)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
