.DEFAULT_GOAL := help
VENV ?= .venv
export VENV PYTHON
python = "$(VENV)/bin/python"

# Testcontainers' reaper is one more image to pull, and the fixtures clean up by themselves.
export TESTCONTAINERS_RYUK_DISABLED ?= true

.PHONY: help setup run test test-fast lint format lock sessions checks-table bench soak docs images clean

help:
	@echo 'make TARGET [ARGS="…"] [VENV=.venv] [PYTHON=python3]'
	@sed -nE 's/^([a-z-]+):.*## (.*)/  \1\t\2/p' Makefile | expand -t 14

setup: ## make the environment from the lock; does nothing when it is up to date
	@bash tools/setup.sh

run: setup ## run everything on this machine against the simulator; no keys needed
	@exec "$(VENV)/bin/lean-lite" demo --with-parent $(ARGS)

test: setup ## run all tests; containers where Docker is there, local brokers elsewhere
	@$(python) -m pytest $(wildcard tests/unit tests/contract tests/integration tests/system) $(ARGS)

test-fast: setup ## run the tests that need no broker
	@$(python) -m pytest --numprocesses auto $(wildcard tests/unit tests/contract) $(ARGS)

lint: setup ## check style, formatting, types and the direction of imports
	@$(python) -m ruff check
	@$(python) -m ruff format --check
	@"$(VENV)/bin/codespell"
	@$(python) -m mypy
	@"$(VENV)/bin/lint-imports"

format: setup ## format the code and mend what ruff can mend
	@$(python) -m ruff check --fix-only
	@$(python) -m ruff format

lock: setup ## compile the requirement files again (ARGS=--upgrade takes new versions)
	@bash tools/lock.sh $(ARGS)

sessions: setup ## write the table of closed and half days of the exchanges again
	@$(python) tools/sessions.py

checks-table: setup ## write the table of checks in docs/messages.md again
	@$(python) tools/checks_table.py

bench: setup ## run every benchmark (ARGS="--quick --json")
	@$(if $(wildcard tests/benchmarks/[a-z]*.py),,echo 'There is no benchmark yet.';) \
	status=0; for file in $(wildcard tests/benchmarks/[a-z]*.py); do \
	  $(python) -m tests.benchmarks.$$(basename $$file .py) $(ARGS) || status=1; \
	done; exit $$status

soak: setup ## run the long forms of the tests that have one
	@LEAN_LITE_SOAK=1 $(python) -m pytest -m soak --timeout 0 $(ARGS)

docs: setup ## run the code blocks of the README and of docs/
	@$(if $(wildcard tests/docs),$(python) -m pytest tests/docs $(ARGS),echo 'No documentation is tested yet.')

images: setup ## build the test images of Python, NATS and Valkey without a registry
	@bash tools/images.sh

clean: ## remove caches and build results; the environment stays
	@rm -rf .coverage* .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache build dist
	@find libs services tests -name __pycache__ -prune -exec rm -rf {} +
