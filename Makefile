# Two commands set everything up: `make search` and `make test`. Needs Python 3.11 to 3.13 and make.
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
UV_VERSION := 0.13.9
UV := $(BIN)/uv
STAMP := $(VENV)/.installed
CAMPAIGN := quickstart
FOLDER := $(or $(NAS_HOME),campaigns)/$(CAMPAIGN)
UV_COMPILE := pip compile --quiet --universal --python-version 3.11 --extra dev --extra postgres \
	--no-emit-index-url --no-emit-find-links --custom-compile-command "make lock"

export UV_PYTHON := $(BIN)/python
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: help install search test test-full lint lock audit

help:
	@echo 'make install     install into .venv, and no more'
	@echo 'make search      install, run (or go on with) the quickstart campaign, export its winner'
	@echo 'make test        install, then lint, types, import contract, tests'
	@echo 'make test-full   the same with the full counts; writes docs/test-report.md'
	@echo 'make lint        install, then lint, types and import contract only'
	@echo 'make audit       install, then look every locked package up in the advisory services (needs network)'
	@echo 'make lock        renew requirements.lock from setup.py (versions stay where they can)'
	@echo 'PYTHON=python3.12 in front of a command chooses the Python that .venv is made from.'

install: $(STAMP)

search: $(STAMP)
	@$(BIN)/nas run configs/$(CAMPAIGN).yaml --continue
	@[ -e $(FOLDER)/.exported ] || { \
		$(BIN)/nas export $(CAMPAIGN) --out $(FOLDER)/export && touch $(FOLDER)/.exported; }

test: lint
	@$(BIN)/pytest -q -n 3 --dist loadfile

test-full: lint
	@$(BIN)/python tests/full_report.py docs/test-report.md

lint: $(STAMP)
	@$(BIN)/ruff check --quiet
	@$(BIN)/ruff format --check --quiet
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo > $(VENV)/lint-imports.log || { cat $(VENV)/lint-imports.log; exit 1; }

audit: $(STAMP)
	@$(BIN)/python tests/dependency_audit.py

lock: $(STAMP)
	@$(UV) $(UV_COMPILE) setup.py --output-file requirements.lock

# An empty .venv made by an older or broken Python is started again; the stamp comes last, so an
# installation that was interrupted is gone through again.
$(STAMP): requirements.lock setup.py
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' || { \
		echo "SpineNAS needs Python 3.11 to 3.13; '$(PYTHON)' is $$($(PYTHON) --version 2>&1 || true)." \
			"Name another: make $(MAKECMDGOALS) PYTHON=/path/to/python3.11" >&2; exit 2; }
	@$(BIN)/python -c '' 2>/dev/null || $(PYTHON) -m venv --clear $(VENV)
	@echo 'Installing into $(VENV) (the first time takes some minutes) ...'
	@{ $(BIN)/python -m pip install --quiet uv==$(UV_VERSION) && $(UV) pip sync --quiet requirements.lock; } || { \
		echo 'uv did not do it; installing with pip ...'; \
		$(BIN)/python -m pip install --quiet -r requirements.lock; }
	@$(UV) pip install --quiet --no-deps --no-build-isolation --editable . || \
		$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@
