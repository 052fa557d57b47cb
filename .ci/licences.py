"""List the licences of all dependencies, and fail if one is not in the list of allowed ones.

python .ci/licences.py

The packages that `pip install shallow-ae` brings with it are listed by name, as a Markdown table.
Those of the extras, which the distributions do not contain either, are counted by licence.
"""

import json
import re
import subprocess
import sys
from collections import Counter
from importlib.metadata import PackageNotFoundError, requires

from packaging.requirements import Requirement

NAME = "shallow-ae"
# Parts of licence expressions and of classifiers. All allow use in software under other licences;
# the Mozilla licence asks for changes of its own files only.
ALLOWED = {
    "0bsd",
    "3-clause bsd",
    "3-clause bsd license",
    "apache software license",
    "apache-2.0",
    "apache-2.0 with llvm-exception",
    "bsd",
    "bsd license",
    "bsd-2-clause",
    "bsd-3-clause",
    "cc0-1.0",
    "isc license (iscl)",
    "mit",
    "mit license",
    "mit-0",
    "mit-cmu",
    "mozilla public license 2.0 (mpl 2.0)",
    "mpl-2.0",
    "psf-2.0",
    "python software foundation license",
    "zlib",
}
# Packages whose metadata names no licence, or one that is not allowed, and why they are.
KNOWN = {
    "docutils": "public domain and BSD; one file for Emacs, which is not used, is under the GPL",
    "skops": "MIT, in its file LICENSE; its metadata name none",
}


def is_allowed(licence: str) -> bool:
    """Return whether all parts of an expression are allowed, and of alternatives one."""
    parts = re.split(r"; | AND ", licence.replace("(MPL 2.0)", "[MPL 2.0]").strip("()"))
    spelled = (part.replace("[MPL 2.0]", "(MPL 2.0)").lower() for part in parts)
    return all(any(each in ALLOWED for each in part.split(" or ")) for part in spelled)


def normal(name: str) -> str:
    """Return the name of a package as package indexes compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def needed(name: str, extras: frozenset[str], found: set[str]) -> set[str]:
    """Add the installed packages that a package needs on this system, and theirs."""
    try:
        stated = requires(name) or []
    except PackageNotFoundError:
        return found
    for requirement in map(Requirement, stated):
        environments = [{"extra": extra} for extra in extras or {""}]
        if requirement.marker and not any(map(requirement.marker.evaluate, environments)):
            continue
        if normal(requirement.name) not in found:
            found.add(normal(requirement.name))
            needed(requirement.name, frozenset(requirement.extras), found)
    return found


def main() -> None:
    """Print the licences; exit with the packages whose licence is not allowed."""
    command = [sys.executable, "-m", "piplicenses", "--from=mixed", "--format=json"]
    answer = subprocess.run([*command, "--with-system"], check=True, stdout=subprocess.PIPE)
    licences = {normal(own["Name"]): own["License"] for own in json.loads(answer.stdout)}
    licences.pop(NAME)
    runtime = needed(NAME, frozenset(), set()) & set(licences)
    print("| package | licence |\n|---|---|")
    for name in sorted(runtime):
        print(f"| {name} | {licences[name]} |")
    print("\nFurther packages of the extras:")
    others = Counter(own for name, own in licences.items() if name not in runtime)
    for licence, n_packages in sorted(others.items()):
        print(f"{n_packages:4} {licence}")
    wrong = [
        f"{name}: {licence}"
        for name, licence in sorted(licences.items())
        if name not in KNOWN and not is_allowed(licence)
    ]
    allowed = [name for name in KNOWN if name in licences and is_allowed(licences[name])]
    if allowed:
        sys.exit(f"Remove from `KNOWN`, as their licences are allowed: {', '.join(allowed)}")
    if wrong:
        sys.exit(
            "Licences that are not in the list of .ci/licences.py:\n"
            + "\n".join(wrong)
            + "\nRead the licence; then add it to `ALLOWED`, or do without the package."
        )


if __name__ == "__main__":
    main()
