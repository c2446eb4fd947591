# Everything runs from a bare clone: each target first installs what it needs into .venv.
# Another interpreter: make PYTHON=python3.12 test

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STAMPS := $(VENV)/.stamps
PIP    := $(BIN)/python -m pip --disable-pip-version-check install --quiet
# Arguments for pytest, e.g. make test ARGS="-k saver -v"
ARGS   ?=

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help demo install fmt fmt-check lint types imports test test-fast test-coverage test-services test-faults test-all \
        bench migrate docs check clean

help: ## List the targets
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# --- install ------------------------------------------------------------------------------------

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Aurora needs Python 3.11 or newer; choose one: make PYTHON=/path/to/python3.11 ..." >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

# A larger set contains the smaller ones, so installing it marks them as installed too.
$(STAMPS)/core: pyproject.toml | $(BIN)/python
	$(PIP) --editable .
	@mkdir -p $(STAMPS) && touch $@

$(STAMPS)/test: pyproject.toml | $(BIN)/python
	$(PIP) --editable '.[test]'
	@mkdir -p $(STAMPS) && touch $(STAMPS)/core $@

$(STAMPS)/services: pyproject.toml | $(BIN)/python
	$(PIP) --editable '.[test,services]'
	@mkdir -p $(STAMPS) && touch $(STAMPS)/core $(STAMPS)/test $@

$(STAMPS)/bench: pyproject.toml | $(BIN)/python
	$(PIP) --editable '.[test,bench]'
	@mkdir -p $(STAMPS) && touch $(STAMPS)/core $(STAMPS)/test $(STAMPS)/services $@

$(STAMPS)/dev: pyproject.toml | $(BIN)/python
	$(PIP) --editable '.[dev]'
	@mkdir -p $(STAMPS) && touch $(STAMPS)/core $(STAMPS)/test $(STAMPS)/services $@

demo: $(STAMPS)/core ## Install Aurora and triage the sample that it ships
	$(BIN)/aurora demo

install: $(STAMPS)/dev ## Install Aurora with all tools of a developer

# --- gates --------------------------------------------------------------------------------------

fmt: $(STAMPS)/dev ## Format the code and mend what ruff can mend
	$(BIN)/ruff check --fix-only --quiet .
	$(BIN)/ruff format .

fmt-check: $(STAMPS)/dev ## Check that the code is formatted
	$(BIN)/ruff format --check --output-format concise .

lint: $(STAMPS)/dev ## Lint the code
	$(BIN)/ruff check --output-format concise .

types: $(STAMPS)/dev ## Check the types
	$(BIN)/mypy

imports: $(STAMPS)/dev ## Check who imports whom
	$(BIN)/lint-imports

check: fmt-check lint types imports test ## All gates that need no server

# --- tests --------------------------------------------------------------------------------------

test: $(STAMPS)/test ## Run all tests that need no server and no network
	$(BIN)/python -m pytest -m "not integration" $(ARGS)

test-fast: $(STAMPS)/test ## Run the tests that are done in a moment
	$(BIN)/python -m pytest -m "not integration and not slow" $(ARGS)

test-coverage: $(STAMPS)/test ## Run the tests and write the coverage to htmlcov/
	$(BIN)/python -m pytest -m "not integration" --cov --cov-branch --cov-report=term --cov-report=html $(ARGS)

test-services: $(STAMPS)/services ## Run the tests against real servers, started from wheels
	$(BIN)/python -m pytest -m integration $(ARGS)

test-faults: $(STAMPS)/services ## Kill, stop, wipe and cut off real processes; one table (FAULT_CYCLES=n for more)
	$(BIN)/python -m tests.faults $(ARGS)

test-all: $(STAMPS)/dev ## Run every test
	$(BIN)/python -m pytest $(ARGS)

# --- the rest -----------------------------------------------------------------------------------

bench: $(STAMPS)/bench ## Measure, print a table, write tests/bench/results.json (ARGS="name ..." for some)
	$(BIN)/python -m tests.bench $(ARGS)

migrate: $(STAMPS)/core ## Bring the configured database to the newest schema
	$(BIN)/aurora db upgrade

docs: $(STAMPS)/dev ## Write the generated pages of docs/reference again
	$(BIN)/python scripts/build_docs.py

clean: ## Remove what the other targets made, the environment included
	rm -rf $(VENV) build dist htmlcov .coverage .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
