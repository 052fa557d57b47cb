"""What several files of the repository say of the project is the same in each."""

import re
import tomllib
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[1]
WORKFLOW = ROOT / ".github" / "workflows" / "ci.yml"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
EXTRAS = PROJECT["optional-dependencies"]


@pytest.mark.skipif(not WORKFLOW.exists(), reason="the workflows are not in a source distribution")
def test_each_python_of_the_classifiers_is_tested_by_the_workflow():
    claimed = re.findall(r"Python :: (3\.\d+)", "\n".join(PROJECT["classifiers"]))
    tested = re.search(r"python: \[(.*)\]", WORKFLOW.read_text("utf-8"))[1]
    assert set(claimed) <= set(re.findall(r"3\.\d+", tested))
    assert PROJECT["requires-python"] == f">={claimed[0]}"


def locked(name):
    """Return the pairs of a package and a version in a lock file."""
    text = (ROOT / "requirements" / name).read_text("utf-8")
    assert "://" not in text  # which index of packages was asked
    found = re.findall(r"^(\S+)==([^\s;]+).*\\\n +--hash=sha256:[0-9a-f]{64}", text, re.M)
    assert len(found) == len(re.findall(r"^[^\s#]", text, re.M))  # each has a hash
    return found


@pytest.mark.parametrize(
    ("name", "extras"), [("dev.txt", [*EXTRAS]), ("runtime.txt", ["files"])], ids=str
)
def test_a_lock_file_holds_each_dependency_in_an_allowed_version_with_a_hash(name, extras):
    groups = [PROJECT["dependencies"], *(EXTRAS[extra] for extra in extras)]
    for requirement in (Requirement(each) for group in groups for each in group):
        package = requirement.name.lower().replace("_", "-")
        if package != PROJECT["name"]:
            versions = [version for each, version in locked(name) if each == package]
            assert versions, f"`make lock` adds {requirement}"
            assert all(requirement.specifier.contains(version) for version in versions)


def test_both_lock_files_hold_the_same_versions():
    assert set(locked("runtime.txt")) < set(locked("dev.txt"))


def test_the_listed_licences_are_those_of_the_locked_packages():
    page = (ROOT / "docs" / "development.md").read_text("utf-8")
    named = set(re.findall(r"^\| ([a-z0-9-]+) \| [^|]+ \|$", page, re.M)) - {"package"}
    packages = {package for package, _ in locked("runtime.txt")}
    stated = {Requirement(each).name for each in PROJECT["dependencies"]}
    assert stated <= named <= packages


@pytest.mark.skipif(not WORKFLOW.exists(), reason="the workflows are not in a source distribution")
def test_workflows_call_commands_that_the_makefile_has_and_may_only_read():
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.M))
    for workflow in WORKFLOW.parent.glob("*.yml"):
        text = workflow.read_text("utf-8")
        assert set(re.findall(r"\bmake ([a-z-]+)$", text, re.M)) <= targets
        assert "\npermissions:\n  contents: read\n\n" in text
    assert {"audit", "licences"} <= set(
        re.findall(r"run: make (\w+)", WORKFLOW.with_name("security.yml").read_text("utf-8"))
    )


@pytest.fixture(scope="module")
def licences():
    """Return the program that checks licences, as a module."""
    spec = spec_from_file_location("licences", ROOT / ".ci" / "licences.py")
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("licence", "is_allowed"),
    [
        ("MIT", True),
        ("BSD-3-Clause AND 0BSD AND MIT AND Zlib AND CC0-1.0", True),
        ("BSD-2-Clause AND Apache-2.0 WITH LLVM-exception", True),
        ("GPL-3.0-only OR MIT", True),
        ("MIT License; Mozilla Public License 2.0 (MPL 2.0)", True),
        ("GPL-3.0-only", False),
        ("MIT AND GPL-3.0-only", False),
        ("BSD License; GNU Affero General Public License v3", False),
        ("UNKNOWN", False),
    ],
)
def test_licences_are_allowed_by_all_their_parts(licence, is_allowed, licences):
    assert licences.is_allowed(licence) == is_allowed


def test_citation_and_metadata_name_the_same_repository():
    citation = (ROOT / "CITATION.cff").read_text("utf-8")
    assert f"repository-code: {PROJECT['urls']['Source']}\n" in citation
    assert f"\nurl: {PROJECT['urls']['Documentation']}\n" in citation
    assert f"\nlicense: {PROJECT['license']}\n" in citation
