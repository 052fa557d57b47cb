"""The figures of the documents are those that the comparison with other libraries has recorded."""

import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PEERS = ROOT / "benchmarks" / "peers"

if not PEERS.is_dir():
    pytest.skip("the benchmarks are not beside the package", allow_module_level=True)
sys.path.insert(0, str(PEERS))
try:
    import plots
    import report
finally:
    sys.path.remove(str(PEERS))

# Sentences with a figure: the page, a pattern with the figure as its group, and what is recorded.
# A value is written as in the tables. For example:
# ("README.md", r"its NDCG@20 is\s+(\.\d+)", ("gowalla", "BlendedRecommender", "ndcg")).
SENTENCES: list[tuple[str, str, tuple[str, str, str]]] = []


def recorded(results, data, model, key):
    """Return a recorded figure of a model as the tables write it."""
    rows = [row for row in results["rows"] if (row["data"], row["model"]) == (data, model)]
    write = {column[0]: column[2] for column in report.tables.COLUMNS}[key]
    assert len(rows) == 1, f"{len(rows)} rows of {model} on {data}"
    return write(rows[0][key])


@pytest.fixture(scope="module")
def results():
    return report.recorded()


@pytest.mark.parametrize("page", report.PAGES, ids=lambda page: page.name)
def test_tables_of_the_documents_are_what_is_recorded(page, results):
    text = page.read_text(encoding="utf-8")
    assert text == report.with_block(text, report.PAGES[page](results))


@pytest.mark.parametrize("theme", plots.COLORS)
@pytest.mark.parametrize("name", plots.PLOTS)
def test_plots_are_what_is_recorded(name, theme, results):
    file = report.IMAGES / plots.file_name(name, theme)
    assert plots.fingerprint(results) in file.read_text(encoding="utf-8")


def test_a_changed_result_changes_the_fingerprint(results):
    first, *others = results["rows"]
    changed = results | {"rows": [first | {"fit_s": first["fit_s"] + 1}, *others]}
    assert plots.fingerprint(changed) != plots.fingerprint(results)


@pytest.mark.parametrize("name", plots.PLOTS)
@pytest.mark.slow
def test_a_plot_is_drawn_twice_the_same_with_its_fingerprint(name, results):
    text = plots.draw(results, name, "light")
    assert plots.fingerprint(results) in text
    assert text == plots.draw(results, name, "light")


def test_figures_in_sentences_are_what_is_recorded(results):
    for page, pattern, what in SENTENCES:
        found = re.search(pattern, (ROOT / page).read_text(encoding="utf-8"))
        assert found, f"no sentence of {page} matches {pattern!r}"
        assert found.group(1) == recorded(results, *what), f"{page}: {found.group()}"


def test_a_changed_figure_is_found(results):
    page = ROOT / "README.md"
    block = report.block(page.read_text(encoding="utf-8"))
    figure = recorded(results, "ml-1m", "ShallowAutoEncoder, exact", "ndcg")
    assert figure in block
    changed = block.replace(figure, ".9999")
    assert report.tables.short(results).strip() != changed.strip()


def test_a_page_without_markers_is_an_error():
    with pytest.raises(ValueError, match="no lines <!-- peers: begin -->"):
        report.with_block("a page", "a table")
