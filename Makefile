# One command each: `make demo`, `make test`, `make lint`, `make docs`. They share a virtual environment
# in .venv, made on first use and brought up to date when pyproject.toml changes.
#
# `make test PYTHON=python3.13` tests with another interpreter, in an environment named after it.
# `make test-oldest` tests with the lowest versions that pyproject.toml allows, in .venv-oldest.
#
# `make bench DATA=FOLDER` compares with other libraries on FOLDER/ml-1m, FOLDER/lastfm-2k and
# FOLDER/gowalla, and on made-up data for those that are absent. The peers get environments of their
# own in .bench. `QUICK=1` takes five minutes; `RECORD=1` writes the results into the documents.
#
# `make kills` kills fits, saves, updates, writes and a service, `TIMES=200` times each.
#
# `make docs` builds the site in docs/_build/html. `LASTFM=FOLDER` adds the artists of the HetRec 2011
# Last.fm data to its jukebox.

PYTHON ?= python3
DATA ?=
LASTFM ?=
TIMES ?= 200
VENV := .venv$(patsubst %,-%,$(filter-out python3,$(notdir $(PYTHON))))
OLDEST := .venv-oldest
BIN := $(VENV)/bin
SCHEMA := $(BIN)/check-jsonschema --quiet --builtin-schema vendor
PYTEST := -m pytest --durations=30 -n 2 --dist loadscope

.PHONY: demo test test-oldest coverage kills lint docs dist lock bench clean

demo: $(VENV)/runtime
	$(BIN)/python examples/jukebox.py

test: $(VENV)/test
	$(BIN)/python $(PYTEST) -m "not slow"

test-oldest: $(OLDEST)/test
	$(OLDEST)/bin/python $(PYTEST)

coverage: $(VENV)/test
	$(BIN)/python $(PYTEST) --cov --cov-report=term-missing:skip-covered

kills: $(VENV)/test
	$(BIN)/python tests/faults/kill.py --times $(TIMES)

lint: $(VENV)/dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/zizmor --offline --quiet .github
	$(SCHEMA).github-workflows .github/workflows/*.yml
	$(SCHEMA).github-issue-forms .github/ISSUE_TEMPLATE/bug.yml .github/ISSUE_TEMPLATE/feature.yml
	$(SCHEMA).github-issue-config .github/ISSUE_TEMPLATE/config.yml
	$(SCHEMA).dependabot .github/dependabot.yml
	$(SCHEMA).citation-file-format CITATION.cff

docs: $(VENV)/docs
	$(BIN)/python -m sphinx --fail-on-warning --keep-going -b html \
		$(if $(LASTFM),-D jukebox_lastfm=$(abspath $(LASTFM))) \
		-d docs/_build/doctrees docs docs/_build/html

# What a release publishes, and whether the README runs where nothing else is installed.
dist: $(VENV)/dev
	rm -rf dist
	$(BIN)/python -m build --installer uv
	$(BIN)/twine check --strict dist/*
	$(BIN)/check-wheel-contents dist/*.whl
	$(BIN)/python .ci/dist.py dist/*.whl dist/*.tar.gz

# The newest versions that work together, for all systems and versions of Python.
lock: $(VENV)/dev
	$(BIN)/uv pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes \
		--all-extras --custom-compile-command "make lock" --output-file requirements/dev.txt \
		pyproject.toml

bench: $(VENV)/bench
	$(BIN)/python benchmarks/peers/run.py $(foreach set,ml-1m lastfm-2k gowalla,$(if \
		$(and $(DATA),$(wildcard $(DATA)/$(set))),--$(set) $(DATA)/$(set))) \
		$(if $(QUICK),--quick) $(if $(RECORD),--record)

clean:
	rm -rf .venv .venv-* .bench dist docs/_build docs/gallery docs/reference

$(VENV)/runtime: pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --editable .
	touch $@

$(VENV)/bench: $(VENV)/runtime
	$(BIN)/python -m pip install --quiet --editable ".[files,plot]"
	touch $@

$(VENV)/test $(VENV)/dev $(VENV)/docs: pyproject.toml
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
