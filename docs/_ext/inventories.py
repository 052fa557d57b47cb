"""Addresses of other projects' documentation, from text files in docs/inventories.

Sphinx reads a project's names and addresses from an inventory, which it usually downloads. Here a
text file for each project lists the names that this documentation mentions: the first line is the
address of the project's documentation, and each other line is a name, its role and its page, in
Sphinx's format (`$` at the end of a page stands for the name).
"""

import zlib
from pathlib import Path
from typing import Any


def write_inventories(app: Any, config: Any) -> None:
    """Compress the text files to inventories, and name them to intersphinx."""
    folder = Path(app.doctreedir).parent / "inventories"
    folder.mkdir(parents=True, exist_ok=True)
    for file in sorted((Path(app.srcdir) / "inventories").glob("*.txt")):
        address, *lines = file.read_text(encoding="utf-8").splitlines()
        header = (
            f"# Sphinx inventory version 2\n# Project: {file.stem}\n# Version: \n"
            "# The remainder of this file is compressed using zlib.\n"
        )
        names = "".join(f"{line} -\n" for line in lines if line)
        inventory = folder / f"{file.stem}.inv"
        inventory.write_bytes(header.encode() + zlib.compress(names.encode()))
        config.intersphinx_mapping[file.stem] = (address, str(inventory))


def setup(app: Any) -> dict[str, bool]:
    """Register the extension, which runs before intersphinx reads its settings."""
    app.connect("config-inited", write_inventories, priority=100)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
