# Everything starts here: `make demo`, `make test`. Needs Python >= 3.11 and make; the rest is installed into .venv.
PYTHON ?= $(shell for p in python3.14 python3.13 python3.12 python3.11 python3; do \
	command -v $$p >/dev/null 2>&1 && $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/installed

.DEFAULT_GOAL := help
.PHONY: help demo test check bench torture lock snapshots man clean

help: ## This list
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(STAMP): pyproject.toml requirements-dev.lock
	@test -n "$(PYTHON)" || { echo "No Python 3.11 or newer found. Install one, or: make PYTHON=/path/to/python"; exit 2; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) || { echo "Cannot make $(VENV): on Debian, apt install python3-venv"; exit 2; }
	@echo "Installing into $(VENV) (once) …" >&2
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@$(BIN)/python -m compileall -q recovery_console.py console state adapters
	@touch $@

demo: $(STAMP) ## A laboratory of real components and the console on it; ARGS="--headless --json" plays the story
	@$(BIN)/recovery demo $(ARGS)

test: $(STAMP) ## All tests but the long programmes; ARGS are handed to pytest
	@$(BIN)/python -m pytest -n 3 --dist loadgroup --no-loadscope-reorder $(ARGS)

check: $(STAMP) ## Format, lint, types, import rules, packages
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/python -P .ci/supply.py

bench: $(STAMP) ## Performance figures as ratios against yardsticks taken in the same run
	@$(BIN)/python -m tests.bench $(ARGS)

torture: $(STAMP) ## The long programmes: crash sweeps, hostile corpus, soaks, fuzzing
	@$(BIN)/python -m pytest -m torture $(ARGS)

snapshots: $(STAMP) ## Renew the pinned pictures of the screens
	@$(BIN)/python -m pytest tests/screens --snapshot-update

man: $(STAMP) ## Renew the man page, docs/recovery.1
	@$(BIN)/python -m console.cli.manual > docs/recovery.1.new && mv docs/recovery.1.new docs/recovery.1

COMPILE := $(BIN)/pip-compile --quiet --generate-hashes --strip-extras --allow-unsafe --no-emit-index-url --no-emit-options --no-header

lock: $(STAMP) ## Pin every dependency anew, with hashes, and list those of production
	@$(COMPILE) --output-file requirements.lock pyproject.toml
	@$(COMPILE) --constraint requirements.lock --extra lab --output-file requirements-lab.lock pyproject.toml
	@$(COMPILE) --constraint requirements-lab.lock --extra lab --extra dev --output-file requirements-dev.lock pyproject.toml
	@$(BIN)/python -P .ci/supply.py --write

clean: ## Remove what was installed and cached here
	@rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
