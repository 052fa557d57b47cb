"""The results as Markdown: the short table of the README, and the full tables of docs/peers.md."""

from collections.abc import Callable, Iterable
from typing import Any

from suite import OURS

Results = dict[str, Any]
NAMES = {"ml-1m": "MovieLens-1M", "lastfm-2k": "Last.fm", "gowalla": "Gowalla"}
SHORT_DATA = ("ml-1m", "gowalla")
NONE = "–"  # noqa: RUF001  (a dash in a cell)


def of(results: Results, data: str) -> list[dict[str, Any]]:
    """Return the rows of a data set."""
    return [row for row in results["rows"] if row["data"] == data]


def seconds(value: float) -> str:
    """Return seconds or milliseconds with two or three figures that count."""
    return f"{value:.2f}" if value < 10 else f"{value:.1f}" if value < 100 else f"{value:,.0f}"


def quality(value: float) -> str:
    """Return a share of 1 without its leading zero."""
    return f"{value:.4f}".lstrip("0")


def mib(value: float) -> str:
    """Return MiB."""
    return f"{value:,.0f}"


# Each column: its key, its heading, how it is written, and which value is best.
COLUMNS: list[tuple[str, str, Callable[[float], str], Callable[[Iterable[float]], float]]] = [
    ("recall", "Recall@20", quality, max),
    ("ndcg", "NDCG@20", quality, max),
    ("fit_s", "fit, s", seconds, min),
    ("rank_s", "rank all, s", seconds, min),
    ("request_ms", "request, ms", seconds, min),
    ("peak_mib", "peak, MiB", mib, min),
]
FLOOR = "most popular"


def cell(rows: list[dict], row: dict, column: tuple) -> str:
    """Return a figure of a row; the best of all models that learn is bold."""
    key, _, write, best = column
    if key not in row:
        is_end = key == "fit_s" or (key == "rank_s" and "fit_s" in row)
        return row.get("note", NONE) if is_end else NONE
    text = write(row[key])
    rivals = [other[key] for other in rows if key in other and other["model"] != FLOOR]
    is_best = row["model"] != FLOOR and text == write(best(rivals))
    return f"**{text}**" if is_best else text


def table(head: list[str], lines: list[list[str]]) -> str:
    """Return a Markdown table whose columns after the first are aligned to the right."""
    rule = ["---", *["---:"] * (len(head) - 1)]
    return "\n".join("| " + " | ".join(line) + " |" for line in [head, rule, *lines])


def named(row: dict) -> str:
    """Return the name of a model with its library."""
    if row["model"] == FLOOR:
        return FLOOR
    if row["library"] == OURS:
        return f"**{row['model']}**"
    return row["model"] if row["model"] == row["library"] else f"{row['library']} {row['model']}"


def short(results: Results) -> str:
    """Return one table: quality on two data sets, and pairs of times and memory on them."""
    columns = {column[0]: column for column in COLUMNS}
    sets = [data for data in SHORT_DATA if data in results["data"]]
    head = ["", *(f"NDCG@20 {NAMES[data].replace('MovieLens', 'ML')}" for data in sets)]
    head += [columns[key][1] for key in ("fit_s", "rank_s", "request_ms", "peak_mib")]
    lines = []
    for first in of(results, sets[0]):
        same = [
            (of(results, data), row)
            for data in sets
            for row in of(results, data)
            if (row["library"], row["model"]) == (first["library"], first["model"])
        ]
        line = [named(first), *(cell(rows, row, columns["ndcg"]) for rows, row in same)]
        for key in ("fit_s", "rank_s", "request_ms", "peak_mib"):
            cells = [cell(rows, row, columns[key]) for rows, row in same]
            line.append(" / ".join(text.replace(" (estimated)", "") for text in cells))
        lines.append(line)
    pairs = " / ".join(NAMES[data] for data in sets)
    gone = f" Absent: {', '.join(results['absent'])}." if results["absent"] else ""
    words = (
        f"Times and memory are pairs: {pairs}. *rank all*: the best {results['k']} items for all "
        f"users. *request*: the best {results['k']} items for one user. *peak*: the memory of the "
        f'whole process. *exact*: `solver="exact"`. {NONE}: not finished.'
    )
    return f"{words}\n\n{table(head, lines)}\n\n{setting(results)}{served_fastest(results)}{gone}"


def served_fastest(results: Results) -> str:
    """Return a sentence on requests to ServingRecommender."""
    data = [data for data in SHORT_DATA if data in results["data"]][-1]
    own = [row for row in of(results, data) if "serving_ms" in row]
    if not own:
        return ""
    best = min(own, key=lambda row: row["serving_ms"])
    return (
        f" `ServingRecommender` answers a request to `{best['model']}` on {NAMES[data]} in "
        f"{seconds(best['serving_ms'])} ms."
    )


def setting(results: Results) -> str:
    """Return a sentence on the machine."""
    machine = results["machine"]
    return (
        f"One run on {machine['cores']} cores ({machine['processor']}), "
        f"{machine['threads']} threads for each row, Python {machine['python']}."
    )


def full(results: Results) -> str:
    """Return all tables, settings and versions."""
    parts = [setting(results) + f" The run took {results['minutes']} minutes."]
    parts += [absent(results)] if results["absent"] else []
    for data, about in results["data"].items():
        rows = of(results, data)
        made = "" if about["title"] == NAMES[data] else f" ({about['title']})"
        parts.append(
            f"### {NAMES[data]}{made}\n\n{about['n_users']:,} users, {about['n_items']:,} items, "
            f"{about['n_visible']:,} interactions to fit on, {about['n_hidden']:,} hidden."
        )
        lines = [
            [named(row), *(cell(rows, row, column) for column in COLUMNS), served(row)]
            for row in rows
        ]
        head = ["", *(column[1] for column in COLUMNS), "served, ms"]
        parts.append(table(head, lines))
        parts += explained(rows)
    parts.append(f"### Settings\n\n{settings(results)}")
    versions = ", ".join(f"{name} {version}" for name, version in results["versions"].items())
    parts.append(f"### Versions\n\n{versions}.")
    return "\n\n".join(parts)


def served(row: dict) -> str:
    """Return the time of a request to ServingRecommender."""
    return seconds(row["serving_ms"]) if "serving_ms" in row else NONE


def explained(rows: list[dict]) -> list[str]:
    """Return what stopped rows of a data set, where the table has no place for it."""
    return [
        f"{named(row)}: {row['note']}." for row in rows if row.get("note", "").startswith("failed")
    ]


def absent(results: Results) -> str:
    """Return the peers that did not install, with the reasons."""
    lines = [f"- {library}: `{reason}`" for library, reason in results["absent"].items()]
    return "Absent, as they did not install:\n\n" + "\n".join(lines)


def settings(results: Results) -> str:
    """Return a table of the settings of each row on each data set."""
    sets = list(results["data"])
    models: dict[str, list[str]] = {}
    for data in sets:
        for row in of(results, data):
            models.setdefault(named(row), []).append(written(row["settings"]))
    lines = []
    for model, by_data in models.items():
        same = len(set(by_data)) == 1
        lines.append([model, by_data[0]] if same else [model, "<br>".join(tagged(sets, by_data))])
    return table(["", "settings"], lines).replace("---:", "---")


def tagged(sets: list[str], by_data: list[str]) -> list[str]:
    """Return settings that differ with the names of their data sets."""
    return [f"{NAMES[data]}: {text}" for data, text in zip(sets, by_data, strict=True)]


def written(values: dict[str, Any]) -> str:
    """Return settings as text."""
    if not values:
        return "as it comes"
    pairs = [
        f"{name} ({written(value)})" if isinstance(value, dict) else f"{name} {value}"
        for name, value in values.items()
        if name != "kind"
    ]
    return ", ".join(pairs) or "as it comes"
