# One command each: `make demo`, `make test`, `make lint`, `make docs`. They share a virtual environment
# in .venv, made on first use and brought up to date when pyproject.toml changes.
#
# `make test PYTHON=python3.13` tests with another interpreter, in an environment named after it.
# `make test-oldest` tests with the lowest versions that pyproject.toml allows, in .venv-oldest.
#
# Longer than the tests, on request: `make fuzz SECONDS=600 SEED=1` looks for inputs that are answered
# wrongly, with each target of tests/fuzz for ten minutes; `TARGETS="structures_rankings"` names some.
# `make kills TIMES=200` kills fits, saves, updates, writes and a service so many times each.
# `make concurrency MINUTES=10` asks models from eight threads while another thread changes them.
#
# `make bench DATA=FOLDER` compares with other libraries on FOLDER/ml-1m, FOLDER/lastfm-2k and
# FOLDER/gowalla, and on made-up data for those that are absent. The peers get environments of their
# own in .bench. `QUICK=1` takes five minutes; `RECORD=1` writes the results into the documents.
#
# `make licences` lists the licences of all dependencies, and `make audit` their known vulnerabilities,
# which needs network access. `make lock` writes the files in requirements/.
#
# `make docs` builds the site in docs/_build/html. `LASTFM=FOLDER` adds the artists of the HetRec 2011
# Last.fm data to its jukebox.

PYTHON ?= python3
DATA ?=
LASTFM ?=
MINUTES ?= 10
SECONDS ?= 60
SEED ?= 0
TARGETS ?=
TIMES ?= 200
VENV := .venv$(patsubst %,-%,$(filter-out python3,$(notdir $(PYTHON))))
OLDEST := .venv-oldest
BIN := $(VENV)/bin
SCHEMA := $(BIN)/check-jsonschema --quiet --builtin-schema vendor
COMPILE := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--custom-compile-command "make lock"
PYTEST := -m pytest --durations=30 -n 2 --dist loadscope

.PHONY: demo test test-oldest coverage fuzz kills concurrency lint docs dist licences audit lock bench \
	clean

demo: $(VENV)/runtime
	$(BIN)/python examples/jukebox.py

test: $(VENV)/test
	$(BIN)/python $(PYTEST) -m "not slow"

test-oldest: $(OLDEST)/test
	$(OLDEST)/bin/python $(PYTEST) -m "not slow"

coverage: $(VENV)/test
	$(BIN)/python $(PYTEST) --cov --cov-report=term-missing:skip-covered

fuzz: $(VENV)/fuzz
	$(BIN)/python tests/fuzz/run.py --seconds $(SECONDS) --seed $(SEED) $(TARGETS)

kills: $(VENV)/test
	$(BIN)/python tests/faults/kill.py --times $(TIMES)

concurrency: $(VENV)/test
	$(BIN)/python tests/ask_while_changing.py --minutes $(MINUTES)

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
	$(BIN)/python .ci/reproducible.py dist/*.whl dist/*.tar.gz

licences: $(VENV)/dev $(VENV)/docs
	$(BIN)/python .ci/licences.py

audit: $(VENV)/dev
	$(BIN)/pip-audit --strict --disable-pip --require-hashes --requirement requirements/dev.txt

# The newest versions that work together, for all systems and versions of Python. Of these,
# runtime.txt holds what a process needs that fits, saves and serves models.
lock: $(VENV)/dev
	$(COMPILE) --upgrade --all-extras --output-file requirements/dev.txt pyproject.toml
	$(COMPILE) --extra files --constraints requirements/dev.txt --no-annotate \
		--output-file requirements/runtime.txt pyproject.toml

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

$(VENV)/test $(VENV)/dev $(VENV)/docs $(VENV)/fuzz: pyproject.toml
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
