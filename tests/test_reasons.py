"""The program that says why, run as a person would."""

import importlib.util
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def program():
    spec = importlib.util.spec_from_file_location("reasons", ROOT / "examples" / "reasons.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_default_is_made_up(program, capsys):
    reasons = program.main([])
    told = capsys.readouterr().out
    assert told.index("Played most") < told.index("Recommended") < told.index("Why the first")
    assert len(reasons) == program.TOP
    assert reasons["contribution"].is_monotonic_decreasing


def test_a_stranger_is_refused(program, capsys):
    with pytest.raises(SystemExit):
        program.main(["--listener", "?"])
    assert "nobody is called '?'" in capsys.readouterr().err


@pytest.mark.parametrize("page", ["docs/lastfm.md", "docs/recommending.md"])
def test_the_output_shown_is_real(program, lastfm_folder, capsys, page):
    program.main(["--lastfm", str(lastfm_folder), "--listener", "2"])
    told = capsys.readouterr().out.lstrip("\n")
    assert f"--listener 2\n{told}```" in (ROOT / page).read_text(encoding="utf-8")
