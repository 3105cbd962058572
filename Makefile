# Needs python3 (3.11 or newer) and make; everything else comes from PyPI, locked with hashes.

PYTHON ?= python3
MINUTES ?= 60
BIN := .venv/bin
export UV_PROJECT_ENVIRONMENT := $(CURDIR)/.venv
export UV_PYTHON_DOWNLOADS := never
# Without it every process of the suite would compile all that it imports, once more each time.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help setup run test check test-slow kills bench soak gallery docs format clean

help:  ## this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /	/' | expand -t 14

setup: .venv/.ready  ## a venv in .venv with everything locked, extras included

.venv/.ready: pyproject.toml uv.lock .ci/uv.txt
	@$(PYTHON) -c 'import sys; sys.exit("darkroom needs Python 3.11 or newer, this is %d.%d" % sys.version_info[:2] if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r .ci/uv.txt
	$(BIN)/uv sync --quiet --locked --all-extras --group dev --inexact --python $(BIN)/python
	@touch $@

.venv/.bench: .venv/.ready
	$(BIN)/uv sync --quiet --locked --all-extras --group dev --group bench --inexact --python $(BIN)/python
	@touch $@

run: setup  ## answer the examples on a scratch root and show what came of them
	@$(BIN)/python docs/examples/show.py

check: setup  ## style, types, the direction of imports
	$(BIN)/ruff format --check --quiet .
	$(BIN)/ruff check --quiet .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache > .venv/imports.txt || (cat .venv/imports.txt; false)

test: check  ## every check and every test
	$(BIN)/python -m pytest -n 3 --dist worksteal -m "not slow"

test-slow: setup .venv/.bench  ## what takes longer than the suite may
	THOROUGH=1 $(BIN)/python -m pytest -m "slow or hypothesis" --timeout 1200

kills: setup  ## daemons killed at every event, and at random for some minutes: nothing lost, nothing paid twice
	$(BIN)/python -m pytest -n 3 --dist worksteal -m slow --timeout 1200 tests/story -k kills

bench: setup .venv/.bench  ## measure it beside a bare loop and huey; writes docs/performance.md
	@$(BIN)/python -m tests.bench

soak: setup  ## an hour of steady load (MINUTES=60): flat memory, nothing lost
	@$(BIN)/python -m tests.bench.steady --minutes $(MINUTES)

gallery: setup  ## every task and mode by the embedded stand-in, on one sheet
	@$(BIN)/python docs/make_gallery.py

docs: setup  ## write what the docs say of commands and settings
	$(BIN)/python docs/make_docs.py

format: setup  ## put the code in order
	$(BIN)/ruff format --quiet .
	$(BIN)/ruff check --fix --quiet .

clean:  ## remove everything that was made here
	rm -rf .venv .scratch dist .mypy_cache .ruff_cache .hypothesis .pytest_cache .import_linter_cache
