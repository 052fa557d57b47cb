"""The fuzzing targets on bytes: a few hundred cases each, and that they notice faults."""

import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from shallow_ae import IdMapper, datasets
from shallow_ae._model_files import values

FOLDER = Path(__file__).with_name("fuzz")
with pytest.MonkeyPatch.context() as importing:
    importing.syspath_prepend(FOLDER)
    import bytes_ids
    import bytes_model_files
    import bytes_text_files
    from byte_fuzzing import Target, try_at_random
    from sealed_files import mutated, parts_of, sealed

NEW_PANDAS = pytest.mark.skipif(
    int(pd.__version__.partition(".")[0]) < 3,
    reason="pandas 2 compares and reads texts up to a zero character",
)
SMALL = [(bytes_model_files.FILES / "schema1-nearest.safetensors").read_bytes()]


@pytest.mark.parametrize(
    ("target", "n_cases"),
    [
        pytest.param(bytes_text_files.TARGET, 300, marks=NEW_PANDAS),
        pytest.param(bytes_ids.TARGET, 200, marks=NEW_PANDAS),
        (Target(bytes_model_files.check, lambda: SMALL, mutated), 60),
    ],
    ids=["text files", "ids", "model files"],
)
def test_no_case_shows_a_fault(target, n_cases):
    try_at_random(target, n_cases)


def test_a_sealed_file_loads_and_keeps_its_changes(tmp_path):
    document, fields, data = parts_of(SMALL[0])
    document["keep"] = "changed"
    path = tmp_path / "model"
    path.write_bytes(sealed(document, fields, data))
    assert bytes_model_files.load_model(path).steps
    assert parts_of(path.read_bytes())[0]["keep"] == "changed"


def test_a_reader_of_text_that_drops_lines_is_noticed(monkeypatch):
    load = datasets.load_listens
    monkeypatch.setattr(bytes_text_files, "load_listens", lambda path: load(path)[1:])
    with pytest.raises(AssertionError):
        bytes_text_files.check(b"\0ann x 3\nbob y 1\n")


def test_ids_that_are_taken_for_others_are_noticed(monkeypatch):
    class Texts(IdMapper):
        def fit_transform(self, interactions, y=None):
            return super().fit_transform([tuple(map(str, row)) for row in interactions])

    rows = [("a", 1), ("a", "1")]
    bytes_ids.check_table(rows, rows, has_counts=False)
    monkeypatch.setattr(bytes_ids, "IdMapper", Texts)
    with pytest.raises(AssertionError):
        bytes_ids.check_table(rows, rows, has_counts=False)


@pytest.mark.parametrize("damage", ["an index beyond the items", "another error", "execution"])
def test_readers_that_trust_a_model_file_are_noticed(damage, monkeypatch, tmp_path):
    path = tmp_path / "model"
    document, fields, data = parts_of(SMALL[0])
    if damage == "an index beyond the items":
        monkeypatch.setattr(values, "check_format", lambda _: None)
        name = next(name for name in fields if name.endswith("_fitted.weights.P.indices"))
        start, stop = fields[name]["data_offsets"]
        data[start:stop] = np.arange(10**6, 10**6 + (stop - start) // 4, dtype="<i4").tobytes()
    path.write_bytes(sealed(document, fields, data))

    def wrong(_):
        if damage == "another error":
            raise KeyError("own")
        if damage == "execution":
            bytes_model_files.Watch.hook("os.system", ("ls",))
        return bytes_model_files.load_model(path)

    monkeypatch.setattr(bytes_model_files.Watch, "is_installed", True)
    with pytest.raises((AssertionError, IndexError, KeyError)):
        bytes_model_files.check_file(path, [wrong])


@pytest.mark.slow
@pytest.mark.skipif(find_spec("atheris") is None, reason="atheris is not installed: extra `fuzz`")
def test_a_target_runs_as_a_program_and_counts_its_cases(tmp_path):
    command = [sys.executable, FOLDER / "bytes_text_files.py", "--seconds", "8"]
    done = subprocess.run(
        [*command, "--findings", tmp_path], capture_output=True, text=True, check=True
    )
    told = json.loads(done.stdout.splitlines()[-1])
    assert told["cases"] > len(bytes_text_files.seeds())
    assert told["findings"] == 0
