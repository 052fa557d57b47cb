"""The programs in the folder fuzz: each tries some cases, finds what is broken, and tells it."""

import importlib
import sys
import textwrap
from pathlib import Path

import pytest

from shallow_ae import IdMapper
from shallow_ae.data import matrices
from shallow_ae.metrics import formulas
from shallow_ae.models import recommender
from shallow_ae.models.recommender import RecommenderMixin
from shallow_ae.pipeline import RecommenderPipeline

FOLDER = Path(__file__).parent / "fuzz"
TARGETS = sorted(file.stem for file in FOLDER.glob("structures_*.py"))


def other(*_args, **_kwargs):
    raise IndexError("index 7 is out of bounds for axis 0 with size 3")


BROKEN = {  # an object, the name of a part of it, and what is put there
    "structures_corrupted": (matrices, "check_format", other),
    "structures_ids": (IdMapper, "item_ids", lambda _self, indices: [None] * len(indices)),
    "structures_matrices": (recommender, "check_interactions", other),
    "structures_measures": (formulas, "_n_hits", lambda hits: formulas._sums(hits, 0.5)),
    "structures_rankings": (RecommenderMixin, "similar_items", other),
    "structures_splits": (matrices, "check_format", other),
    "structures_updates": (RecommenderPipeline, "partial_fit", lambda self, *_, **__: self),
    "structures_weights": (RecommenderMixin, "item_weights_", 0.5),
}


@pytest.fixture
def module_of(monkeypatch):
    """Return a function that imports a program of the folder."""
    for file in FOLDER.glob("*.py"):  # other folders have modules of the same names
        monkeypatch.delitem(sys.modules, file.stem, raising=False)
    before = dict(sys.modules)
    monkeypatch.syspath_prepend(str(FOLDER))
    yield importlib.import_module
    for name in sys.modules.keys() - before.keys():
        if (
            getattr(sys.modules[name], "__file__", None)
            and FOLDER in Path(sys.modules[name].__file__).parents
        ):
            del sys.modules[name]


@pytest.mark.parametrize("target", TARGETS)
def test_a_target_finds_nothing_and_what_is_broken(target, module_of, monkeypatch):
    harness, module = module_of("harness"), module_of(target)
    phases = [harness.Phase.generate]
    sound = harness.Trials(module.check, module.cases(), phases=phases)
    sound.batch(0, 2)
    assert sound.findings == []
    assert sound.cases >= 2
    monkeypatch.setattr(*BROKEN[target])
    broken = harness.Trials(module.check, module.cases(), phases=phases)
    broken.batch(0, 50)
    assert len(broken.findings) >= 1


def test_a_finding_is_counted_once_and_can_be_repeated(module_of, capsys, tmp_path):
    harness = module_of("harness")

    def check(case):
        assert case < 1000, f"too large: {case}"

    trials = harness.Trials(check, harness.hypothesis.strategies.integers(), tmp_path / "a.case")
    for seed in range(3):
        trials.batch(seed)
    assert len(trials.findings) == 1
    told = capsys.readouterr().out
    assert "too large: 1000" in told
    assert "case=1000" in told
    assert (tmp_path / "a.case").read_bytes().lstrip(b"-").isdigit()


PROGRAMS = {
    "bytes_sound.py": 'print(\'{"cases": 7, "findings": 0}\')',
    "bytes_wrong.py": "print('of the input findings/7')\nprint('{\"cases\": 9, \"findings\": 2}')",
    "structures_absent.py": 'print(\'{"skipped": "atheris is not installed"}\')',
    "structures_dies.py": """
        import os, signal, sys
        from pathlib import Path
        Path(sys.argv[-1], "structures_dies.case").write_text("the last case")
        os.kill(os.getpid(), signal.SIGSEGV)
    """,
    "structures_fails.py": "raise ImportError('no module of that name')",
    "harness.py": "raise SystemExit('not a target')",
}


def test_one_table_tells_of_all_targets_and_a_dead_process_is_a_finding(module_of, tmp_path, capfd):
    for name, code in PROGRAMS.items():
        (tmp_path / name).write_text(textwrap.dedent(code))
    run = module_of("run")
    findings = tmp_path / "findings"
    assert run.main(["--seconds", "1", "--seed", "5", "--findings", str(findings)], tmp_path) == 1
    told = capfd.readouterr().out
    rows = [line.split()[:3] for line in told.partition("target ")[2].splitlines()[1:]]
    assert rows == [
        ["bytes_sound", "7", "0"],
        ["bytes_wrong", "9", "2"],
        ["structures_absent", "0", "0"],
        ["structures_dies", "0", "1"],
        ["structures_fails", "0", "1"],
    ]
    for line in (
        "of the input findings/7",
        "skipped: atheris is not installed",
        "The process died of SIGSEGV, seed 5.",
        "the last case",
        "no module of that name",
    ):
        assert line in told
    assert [file.suffix for file in findings.iterdir()] == [".case"]
    assert run.main(["bytes_sound", "--findings", str(findings)], tmp_path) == 0
    with pytest.raises(SystemExit):
        run.main(["bytes_unknown"], tmp_path)
