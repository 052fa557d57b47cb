"""Fail unless what is installed is the lowest version that pyproject.toml allows, name by name.

A resolver takes a higher version without a word where another package demands one. The bound is
then one that nobody has tested.
"""

import sys
import tomllib
from importlib.metadata import version
from pathlib import Path

from packaging.requirements import Requirement
from packaging.version import Version

project = tomllib.loads(Path("pyproject.toml").read_text(encoding="utf-8"))["project"]
stated = project["dependencies"] + project["optional-dependencies"]["test"]
wrong = []
for requirement in map(Requirement, stated):
    found = version(requirement.name)
    lowest = [each.version for each in requirement.specifier if each.operator == ">="]
    if not lowest or Version(found) != Version(lowest[0]):
        wrong.append(f"pyproject.toml states `{requirement}`, but {found} is installed.")
if wrong:
    sys.exit("\n".join([*wrong, "Raise each bound to the version that can be installed."]))
