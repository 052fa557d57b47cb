"""What a request asks for: its parameters, checked, and the model that answers it."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

from model_file import Model
from starlette.exceptions import HTTPException
from starlette.requests import Request

MAX_K, MAX_REASONS, MAX_ITEMS, MAX_COUNT, MAX_BYTES = 100, 20, 1000, 1e9, 2**20


class Asked(NamedTuple):
    """A request. Errors are HTTPExceptions that say what was expected."""

    given: dict[str, Any]
    model: Model
    listens: Path

    def text(self, name: str) -> str:
        """Return a text, empty by default."""
        return str(self.given.get(name, ""))

    def number(self, name: str, default: int, low: int = 1, high: int = MAX_K) -> int:
        """Return a whole number, which may be written as text."""
        text = str(self.given.get(name, default))
        if not (text.isdecimal() and len(text) < 10 and low <= int(text) <= high):
            raise HTTPException(
                400, f"`{name}`={text[:20]!r}: expected a whole number from {low} to {high}."
            )
        return int(text)

    def item(self) -> Any:
        """Return the item that is asked about."""
        if "item" not in self.given:
            raise HTTPException(400, "Expected `item`, one of the items that /items lists.")
        if self.text("item") not in self.model.columns:
            raise HTTPException(
                404, f"`item`={self.text('item')[:80]!r} is unknown: /items lists the items."
            )
        return self.model.raw_id(self.text("item"))

    def items(self, name: str) -> list[Any]:
        """Return a list of items, empty by default."""
        items = self.given.get(name, [])
        if not isinstance(items, list) or not all(type(item) in (str, int) for item in items):
            raise HTTPException(400, f"`{name}` must be a list of items, got {shown(items)}.")
        if len(items) > MAX_ITEMS:
            raise HTTPException(
                400, f"`{name}` has {len(items):,} items: expected {MAX_ITEMS:,} at most."
            )
        return [self.model.raw_id(item) for item in items]

    def history(self) -> dict[Any, float] | list[Any]:
        """Return the history that the request holds, or that of the known user whom it names."""
        if ("user" in self.given) == ("history" in self.given):
            raise HTTPException(400, "Expected either `user` or, in the body of a POST, `history`.")
        if "user" in self.given:
            counts = history_of(self.listens, self.text("user"))
            if not counts:
                raise HTTPException(404, f"`user`={self.text('user')[:80]!r} has no listens.")
            return {self.model.raw_id(item): count for item, count in counts.items()}
        if not isinstance(history := self.given["history"], dict):
            return self.items("history")
        items = Asked({"history": list(history)}, self.model, self.listens).items("history")
        for item, count in history.items():
            if type(count) not in (int, float) or not 0 < count <= MAX_COUNT:
                raise HTTPException(
                    400,
                    f"`history` has the count {shown(count)} for {item[:80]!r}: expected a number "
                    f"above 0, up to {MAX_COUNT:g}.",
                )
        return dict(zip(items, history.values(), strict=True))


def history_of(listens: Path, user: str) -> dict[Any, float]:
    """Return a known user's items and counts. Each call opens the file: threads share nothing."""
    query = "SELECT item, SUM(count) FROM listens WHERE user = ? GROUP BY item"
    address = f"{listens.absolute().as_uri()}?mode=ro"
    with closing(sqlite3.connect(address, uri=True)) as connection:
        return dict(connection.execute(query, [user]))


async def parameters(request: Request, names: set[str]) -> dict[str, Any]:
    """Return the parameters in the address of a GET, or in the body of a POST."""
    given: Any = dict(request.query_params)
    if request.method == "POST":
        body = bytearray()
        async for part in request.stream():
            body += part
            if len(body) > MAX_BYTES:
                raise HTTPException(413, f"The body has more than {MAX_BYTES:,} bytes.")
        try:
            given = json.loads(body)
            json.dumps(given, ensure_ascii=False).encode()  # half a surrogate pair is no text
        except (ValueError, RecursionError) as error:
            raise HTTPException(400, f"The body is no valid JSON: {error}.") from None
        if not isinstance(given, dict):
            raise HTTPException(400, f"The body must be a JSON object, got {shown(given)}.")
    if unexpected := given.keys() - names:
        expected = ", ".join(f"`{name}`" for name in sorted(names))
        raise HTTPException(400, f"`{min(unexpected)[:80]}` is unknown: expected {expected}.")
    return given


def shown(value: Any) -> str:
    """Return the beginning of a value for a message."""
    return f"{value!r:.40}"
