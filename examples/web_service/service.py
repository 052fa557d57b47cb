"""A web service that recommends: JSON for programs, and a page for people.

    python examples/web_service/service.py model.safetensors listens.sqlite

The model file is one that `shallow_ae.save_model` wrote. The listens of known users are in an
SQLite file, in a table `listens` of user (text), item and count. `demo.py` makes both files.

    GET  /recommend?user=ann&k=10         items for a known user
    POST /recommend                       items for {"history": {"Kashmir": 3}}, counts of items, or
                                          {"history": ["Kashmir"]}; optional are "k", "exclude" (a
                                          list of items) and "reasons" (their number for each item)
    GET  /explain?user=ann&item=Clocks    what in a history adds most to an item's score
    POST /explain                         the same for {"history": ["Kashmir"], "item": "Clocks"}
    GET  /similar?item=Kashmir            similar items
    GET  /items?query=kash                items by a part of their name, those with most users first
    GET  /health                          whether the model file can be read, and when it was read
    GET  /                                the page

When another model file takes the place of the present one, the service reads it and answers later
requests by it. If it cannot read the new file, it serves the present model, and /health says why.
"""

from __future__ import annotations

import argparse
import signal
import sqlite3
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import uvicorn
from asked import MAX_REASONS, Asked, history_of, parameters
from model_file import ModelFile
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse
from starlette.routing import Route

from shallow_ae import ModelFileError

PAGE = Path(__file__).with_name("page.html")
# The page holds its scripts and styles, and the browser asks no other server for anything.
PAGE_POLICY = (
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; "
    "connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'"
)


def recommend(asked: Asked) -> dict[str, Any]:
    """Answer /recommend."""
    model, history, n_reasons = (
        asked.model,
        asked.history(),
        asked.number("reasons", 0, 0, MAX_REASONS),
    )
    best = model.recommender.recommend(
        history, asked.number("k", 10), exclude=asked.items("exclude")
    )
    entries = pairs(best.items, score=best.scores)
    for entry in entries:
        entry["users"] = model.n_users[model.columns[str(entry["item"])]]
        if n_reasons and not best.by_popularity:
            found = model.recommender.explain(history, entry["item"], n_reasons)
            entry["reasons"] = pairs(found.items, contribution=found.scores)
    return {
        "recommendations": entries,
        "by_popularity": best.by_popularity,
        "unknown": best.unknown,
    }


def explain(asked: Asked) -> dict[str, Any]:
    """Answer /explain."""
    found = asked.model.recommender.explain(asked.history(), asked.item(), asked.number("k", 5))
    return {"item": asked.item(), "reasons": pairs(found.items, contribution=found.scores)}


def similar(asked: Asked) -> dict[str, Any]:
    """Answer /similar."""
    found = asked.model.recommender.similar_items(asked.item(), asked.number("k", 10))
    return {"item": asked.item(), "similar": pairs(found.items, score=found.scores)}


def search(asked: Asked) -> dict[str, Any]:
    """Answer /items."""
    model, found = asked.model, asked.model.search(asked.text("query"))
    first = found[: asked.number("k", 10)]
    items, n_users = ([of[column] for column in first] for of in (model.items, model.n_users))
    return {"items": pairs(items, users=n_users), "found": len(found)}


def pairs(items: list[Any], **numbers: list[float]) -> list[dict[str, Any]]:
    """Return items and the number of each as JSON has them."""
    ((name, values),) = numbers.items()
    return [{"item": item, name: value} for item, value in zip(items, values, strict=True)]


def application(model_file: ModelFile, listens: Path) -> Starlette:
    """Return the application for a model file and the listens of known users."""

    def route(method: str, path: str, answer: Callable[[Asked], Any], names: str) -> Route:
        async def respond(request: Request) -> JSONResponse:
            given = await parameters(request, set(names.split()))
            # In a thread: the model works without Python's lock, so requests share the cores.
            asked = Asked(given, model_file.model, listens)
            return JSONResponse(await run_in_threadpool(answer, asked))

        return Route(path, respond, methods=[method])

    async def health(_: Request) -> JSONResponse:
        model, error = model_file.model, model_file.error
        status = {"status": "stale" if error else "ok", "error": error}
        return JSONResponse({**status, "items": len(model.items), "model_read_at": model.read_at})

    async def page(_: Request) -> FileResponse:
        return FileResponse(PAGE, headers={"Content-Security-Policy": PAGE_POLICY})

    async def refuse(_: Request, error: Exception) -> JSONResponse:
        if isinstance(error, HTTPException):
            return JSONResponse({"error": error.detail}, error.status_code, error.headers)
        return JSONResponse({"error": f"The listens cannot be read: {error}."}, 503)

    return Starlette(
        routes=[
            route("GET", "/recommend", recommend, "user k reasons"),
            route("POST", "/recommend", recommend, "user history k exclude reasons"),
            route("GET", "/explain", explain, "user item k"),
            route("POST", "/explain", explain, "user history item k"),
            route("GET", "/similar", similar, "item k"),
            route("GET", "/items", search, "query k"),
            Route("/health", health),
            Route("/", page),
        ],
        exception_handlers={HTTPException: refuse, sqlite3.Error: refuse},
        lifespan=model_file.watched,
    )


def main(argv: list[str] | None = None) -> None:
    """Serve until SIGTERM or Ctrl+C, then answer the requests that have begun."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", type=Path, help="model file")
    parser.add_argument("listens", type=Path, help="SQLite file of the known users' listens")
    parser.add_argument("--host", default="127.0.0.1", help="address to serve at")
    parser.add_argument("--port", type=int, default=8000, help="0 takes a free port")
    args = parser.parse_args(argv)
    try:
        history_of(args.listens, "")
    except sqlite3.Error as error:
        parser.error(f"{args.listens} has no table `listens` of user, item and count: {error}.")
    # Uvicorn stops gracefully, and then repeats the signal, which would end the process by it.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    try:
        model_file = ModelFile(args.model)
    except (OSError, ModelFileError) as error:
        parser.error(str(error))
    app = application(model_file, args.listens)
    uvicorn.run(app, host=args.host, port=args.port, ws="none", timeout_graceful_shutdown=10)


if __name__ == "__main__":
    main()
