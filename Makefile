# Each target does its own set-up: Python 3.11+, make and git are all it needs.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# As it was typed: neither make nor the shell may read quotes, dollars and backticks in it.
QUESTION := $(value ASK)
export QUESTION
unexport ASK
# What is compiled is kept: each worker of the tests, and each bot they start, reads all of it.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo test test-page check lint bench chaos soak pictures lock clean
.DEFAULT_GOAL := demo

demo: $(VENV)/ready  ## the bot in a local Slack, on a page; with ASK="..." one question, here
ifdef ASK
	@$(BIN)/python -m bot playground --ask="$$QUESTION"
else
	@$(BIN)/python -m bot playground --open
endif

test: $(VENV)/ready-dev  ## all tests but those that need a browser
	$(BIN)/python -m pytest -q

test-page: $(VENV)/ready-dev  ## the playground's page, in Chromium
	$(BIN)/python -m pytest -q tests/browser

lint: $(VENV)/ready-dev  ## formatting, style, types, layers
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

check: lint test test-page  ## what CI runs

bench: $(VENV)/ready-dev  ## the figures in the README, measured here
	$(BIN)/python -m tests.bench

chaos: $(VENV)/ready-dev  ## kills, faults and restarts under load, for about ten minutes
	$(BIN)/python -m tests.chaos

soak: $(VENV)/ready-dev  ## twenty minutes of a steady load
	$(BIN)/python -m tests.chaos.soak

pictures: $(VENV)/ready-dev  ## the pictures in the README, made here (needs Chromium)
	$(BIN)/python -m tests.pictures

lock: $(VENV)/ready-dev  ## newest versions that fit pyproject.toml, for all Pythons and platforms
	$(BIN)/pip install --quiet uv
	$(BIN)/uv pip compile --quiet --universal --upgrade --generate-hashes --no-emit-index-url \
		--python-version 3.11 --custom-compile-command "make lock" \
		pyproject.toml -o requirements.txt
	$(BIN)/uv pip compile --quiet --universal --upgrade --generate-hashes --no-emit-index-url \
		--python-version 3.11 --custom-compile-command "make lock" \
		--extra dev -c requirements.txt pyproject.toml -o requirements-dev.txt

clean:
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and \
		"This needs Python 3.11 or newer; name one with: make PYTHON=python3.12")'
	@$(PYTHON) -m venv $(VENV)

$(VENV)/ready: requirements.txt | $(VENV)/bin/python
	@echo "Installing what the bot needs (half a minute, once) ..."
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements.txt
	@touch $@

$(VENV)/ready-dev: requirements-dev.txt $(VENV)/ready
	@echo "Installing what its tests need ..."
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.txt
	@touch $@
