"""What the documents say of the comparison, written from the recorded results alone.

The block between the two markers of README.md is the short table, that of docs/peers.md the full
tables; docs/images has the plots. A test compares all of them with the recorded results.

    python benchmarks/peers/report.py
"""

import json
import re
from pathlib import Path
from typing import Any

import plots
import tables

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
RESULTS = HERE / "results.json"
BEGIN, END = "<!-- peers: begin -->", "<!-- peers: end -->"
BLOCK = re.compile(f"(?<={BEGIN}\n).*?(?={END})", re.DOTALL)
PAGES = {ROOT / "README.md": tables.short, ROOT / "docs" / "peers.md": tables.full}
IMAGES = ROOT / "docs" / "images"
HEADER = f"{'':<34}{'Recall@20':>10}{'NDCG@20':>9}{'fit s':>9}{'rank s':>9}{'ms':>9}{'MiB':>8}"


def line(row: dict[str, Any]) -> str:
    """Return a row for the terminal, with its settings below."""
    keys = ("recall", "ndcg", "fit_s", "rank_s", "request_ms", "peak_mib")
    writers = [column[2] for column in tables.COLUMNS]
    widths = (10, 9, 9, 9, 9, 8)
    cells = [
        f"{write(row[key]) if key in row else tables.NONE:>{width}}"
        for key, write, width in zip(keys, writers, widths, strict=True)
    ]
    name = tables.named(row).replace("*", "")
    note = f"  {row['note']}" if "note" in row else ""
    return f"{name:<34}{''.join(cells)}{note}\n    {tables.written(row['settings'])}"


def recorded() -> dict[str, Any]:
    """Return the recorded results."""
    results: dict[str, Any] = json.loads(RESULTS.read_text(encoding="utf-8"))
    return results


def block(page: str) -> str:
    """Return what is between the markers of a page."""
    found = BLOCK.search(page)
    if found is None:
        raise ValueError(
            f"The page has no lines {BEGIN} and {END}; write them where the table goes."
        )
    return found.group()


def with_block(page: str, text: str) -> str:
    """Return a page with another text between its markers."""
    block(page)
    return BLOCK.sub(lambda _: f"\n{text}\n\n", page)


def write_all(results: dict[str, Any], folder: Path) -> None:
    """Write the tables and the plots into a folder."""
    (folder / "peers.md").write_text(tables.full(results) + "\n", encoding="utf-8")
    for name, text in plots.all_plots(results).items():
        (folder / name).write_text(text, encoding="utf-8")


def main() -> None:
    """Rewrite the blocks of the documents and the plots."""
    results = recorded()
    for page, render in PAGES.items():
        text = page.read_text(encoding="utf-8")
        page.write_text(with_block(text, render(results)), encoding="utf-8")
    for name, text in plots.all_plots(results).items():
        (IMAGES / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
