# One command each: `make demo`, `make test`, `make coverage`, `make lint`. They share a virtual
# environment in .venv, made on first use and brought up to date when pyproject.toml changes.
#
# `make test PYTHON=python3.13` tests with another interpreter, in an environment named after it.
# `make test-oldest` tests with the lowest versions that pyproject.toml allows, in .venv-oldest.

# `make bench DATA=FOLDER` compares with other libraries on FOLDER/ml-1m, FOLDER/lastfm-2k and
# FOLDER/gowalla, as far as they are there, else on made-up data. The peers get environments of their
# own in .bench. `QUICK=1` takes five minutes; `RECORD=1` writes the results into the documents.

PYTHON ?= python3
DATA ?=
VENV := .venv$(patsubst %,-%,$(filter-out python3,$(notdir $(PYTHON))))
OLDEST := .venv-oldest
BIN := $(VENV)/bin
PYTEST := -m pytest --durations=30 -n 2 --dist loadscope

.PHONY: demo test test-oldest coverage lint bench clean

demo: $(VENV)/runtime
	$(BIN)/python examples/jukebox.py

test: $(VENV)/test
	$(BIN)/python $(PYTEST) -m "not slow"

test-oldest: $(OLDEST)/test
	$(OLDEST)/bin/python $(PYTEST)

coverage: $(VENV)/test
	$(BIN)/python $(PYTEST) --cov --cov-report=term-missing:skip-covered

lint: $(VENV)/dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(VENV)/bench
	$(BIN)/python benchmarks/peers/run.py $(foreach set,ml-1m lastfm-2k gowalla,$(if \
		$(and $(DATA),$(wildcard $(DATA)/$(set))),--$(set) $(DATA)/$(set))) \
		$(if $(QUICK),--quick) $(if $(RECORD),--record)

clean:
	rm -rf .venv .venv-* .bench

$(VENV)/runtime: pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --editable .
	touch $@

$(VENV)/bench: $(VENV)/runtime
	$(BIN)/python -m pip install --quiet --editable ".[files]"
	touch $@

$(VENV)/test $(VENV)/dev: pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --editable ".[$(@F)]"
	touch $@

# Made anew each time, as an installed version would be kept that is newer than the lowest. pip has
# no way to ask for the lowest versions; uv has.
$(OLDEST)/test: pyproject.toml
	$(PYTHON) -m venv --clear $(OLDEST)
	$(OLDEST)/bin/python -m pip install --quiet uv
	$(OLDEST)/bin/python -m uv pip install --quiet --python $(OLDEST)/bin/python \
		--resolution lowest-direct --editable ".[test]"
	$(OLDEST)/bin/python .ci/oldest.py
	touch $@
