"""What the documentation shows is what happens."""

import re
from contextlib import nullcontext
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


BLOCK = re.compile(
    r"^```python\n(?P<code>.*?)^```$"
    r"(?:\s*^```text\n(?P<output>.*?)^```$)?",  # with nothing between, it is what the code prints
    re.MULTILINE | re.DOTALL,
)


def blocks(page):
    """Return the code of each Python block, and the output below it or None."""
    found = BLOCK.finditer(page.read_text(encoding="utf-8"))
    return [(block["code"], block["output"]) for block in found]


def lines(text):
    return [line.rstrip() for line in text.rstrip().splitlines()]


def run(page, capsys):
    """Run the Python blocks of a page in order, and compare what they print with the page."""
    names = {}
    for code, output in blocks(page):
        capsys.readouterr()
        exec(compile(code, str(page), "exec"), names)
        if output is not None:
            assert lines(capsys.readouterr().out) == lines(output)


SLOW = {"cluster.md", "jax.md"}  # the first starts a cluster, the second compiles many functions


@pytest.mark.filterwarnings("ignore:Port 8787 is already in use")  # by another Dask dashboard
@pytest.mark.parametrize(
    "page",
    [
        pytest.param(page, id=page.name, marks=[pytest.mark.slow] * (page.name in SLOW))
        for page in PAGES
        if blocks(page)
    ],
)
def test_python_blocks_run_in_order_and_print_what_is_shown(page, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    run(page, capsys)


@pytest.mark.parametrize(
    ("between", "is_output"), [("", True), ("\n", True), ("\nAnother text:\n\n", False)]
)
def test_a_text_block_right_below_a_python_block_is_its_output(
    between, is_output, tmp_path, capsys
):
    page = tmp_path / "page.md"
    page.write_text(f"```python\nprint(1)\n```\n{between}```text\n2\n```\n", encoding="utf-8")
    with pytest.raises(AssertionError) if is_output else nullcontext():
        run(page, capsys)


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_links_between_pages_lead_somewhere(page):
    text = page.read_text(encoding="utf-8")
    links = re.findall(r"\]\((?!https?://)([^)#]+)", text)
    links += re.findall(r"\bsrc(?:set)?=\"(?!https?://)([^\"]+)\"", text)
    assert [link for link in links if not (page.parent / link).exists()] == []


def test_the_version_is_in_the_changelog():
    import shallow_ae

    assert f"## [{shallow_ae.__version__}]" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
