"""What several files of the repository say of the project is the same in each."""

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[1]
WORKFLOW = ROOT / ".github" / "workflows" / "ci.yml"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]


@pytest.mark.skipif(not WORKFLOW.exists(), reason="the workflows are not in a source distribution")
def test_each_python_of_the_classifiers_is_tested_by_the_workflow():
    claimed = re.findall(r"Python :: (3\.\d+)", "\n".join(PROJECT["classifiers"]))
    tested = re.search(r"python: \[(.*)\]", WORKFLOW.read_text("utf-8"))[1]
    assert set(claimed) <= set(re.findall(r"3\.\d+", tested))
    assert PROJECT["requires-python"] == f">={claimed[0]}"


def test_the_lock_file_holds_each_dependency_in_an_allowed_version():
    lines = re.findall(
        r"^(\S+)==([^\s;]+)", (ROOT / "requirements/dev.txt").read_text("utf-8"), re.M
    )
    groups = [PROJECT["dependencies"], *PROJECT["optional-dependencies"].values()]
    for requirement in (Requirement(each) for group in groups for each in group):
        name = requirement.name.lower().replace("_", "-")
        if name != PROJECT["name"]:
            versions = [version for locked, version in lines if locked == name]
            assert versions, f"`make lock` adds {requirement}"
            assert all(requirement.specifier.contains(version) for version in versions)


def test_citation_and_metadata_name_the_same_repository():
    citation = (ROOT / "CITATION.cff").read_text("utf-8")
    assert f"repository-code: {PROJECT['urls']['Source']}\n" in citation
    assert f"\nurl: {PROJECT['urls']['Documentation']}\n" in citation
    assert f"\nlicense: {PROJECT['license']}\n" in citation
