"""The reference: every public name has a docstring with an example."""

import inspect
import re
from importlib import import_module

import pytest

import shallow_ae

MODULES = (
    "compilation",
    "datasets",
    "display",
    "evaluation",
    "metrics",
    "model_selection",
    "persistence",
    "pipeline",
    "serving",
)
WITHOUT_EXAMPLE = {
    "fetch_lastfm": "needs a network",
    "RankingScorer.check": "a step of the protocol, for the library's own use",
    "RankingScorer.measure": "a step of the protocol, for the library's own use",
    "RankingScorer.score_weights": "a step of the protocol, for the library's own use",
    "RankingScorer.split": "a step of the protocol, for the library's own use",
    "RankingScorer.split_pairs": "a step of the protocol, for the library's own use",
}


def _public():
    found = {name: getattr(shallow_ae, name) for name in shallow_ae.__all__}
    for name in MODULES:
        module = import_module(f"shallow_ae.{name}")
        found |= {own: getattr(module, own) for own in module.__all__}
    return found


def _members(owner):
    """Return the public methods and properties of a class that are defined in this library."""
    for name in sorted(set(object.__dir__(owner)) | set(dir(owner))):
        if name.startswith("_"):
            continue
        home = next((base for base in owner.__mro__ if name in vars(base)), None)
        if home is None or not home.__module__.startswith("shallow_ae"):
            continue
        value = inspect.getattr_static(owner, name)
        kinds = property | classmethod | staticmethod
        if inspect.isfunction(value) or isinstance(value, kinds) or hasattr(value, "fn"):
            yield name, value


def _examples(value):
    return (inspect.getdoc(value) or "").partition("\nExamples\n--------\n")[2]


def _without_example(name, value):
    shown = _examples(value)
    missing = [] if ">>>" in shown else [name]
    if inspect.isclass(value):
        for member, own in _members(value):
            if not re.search(rf"\b{member}\b", shown) and ">>>" not in _examples(own):
                missing.append(f"{name}.{member}")
    return missing


@pytest.mark.parametrize(("name", "value"), sorted(_public().items()), ids=sorted(_public()))
def test_a_public_name_has_an_example(name, value):
    excepted = [own for own in WITHOUT_EXAMPLE if own.split(".")[0] == name]
    assert sorted(_without_example(name, value)) == sorted(excepted)
