.DEFAULT_GOAL := help
VENV ?= .venv
export VENV PYTHON
# Services and tests start some hundred processes, each of which would compile all modules again.
unexport PYTHONDONTWRITEBYTECODE
python = "$(VENV)/bin/python"

# Testcontainers' reaper is one more image to pull, and the fixtures clean up by themselves.
export TESTCONTAINERS_RYUK_DISABLED ?= true

# One more than cores, because most tests wait for a broker or a process.
WORKERS ?= $(shell echo $$((1 + $$(getconf _NPROCESSORS_ONLN))))
parallel = --numprocesses $(WORKERS) --dist loadgroup
# The long ones first, so that no worker ends with one while the others have nothing left.
tests = tests/system tests/docs tests/integration tests/contract tests/unit

.PHONY: help setup run test test-fast coverage lint format lock sessions checks-table architecture \
	bench soak docs images version wheels clean

help:
	@echo 'make TARGET [ARGS="…"] [VENV=.venv] [PYTHON=python3]'
	@sed -nE 's/^([a-z-]+):.*## (.*)/  \1\t\2/p' Makefile | expand -t 14

setup: ## make the environment from the lock; does nothing when it is up to date
	@bash tools/setup.sh

run: setup ## run everything on this machine against the simulator; no keys needed
	@exec "$(VENV)/bin/lean-lite" demo --with-parent $(ARGS)

test: setup ## run all tests in parallel; those in containers only where Docker is there
	@$(python) -m pytest $(parallel) $(tests) $(ARGS)

test-fast: setup ## run the tests that need no broker
	@$(python) -m pytest $(parallel) tests/unit tests/contract $(ARGS)

coverage: setup ## run all tests and print the branch coverage of each package
	@$(python) -m coverage erase
	@$(python) -m coverage run -m pytest $(parallel) $(tests) $(ARGS)
	@$(python) -m coverage combine --quiet
	@$(python) tools/coverage_table.py

lint: setup ## check style, formatting, types and the direction of imports
	@$(python) -m ruff check
	@$(python) -m ruff format --check
	@"$(VENV)/bin/codespell"
	@$(python) -m mypy
	@"$(VENV)/bin/lint-imports"

format: setup ## format the code and fix what ruff can fix
	@$(python) -m ruff check --fix-only
	@$(python) -m ruff format

lock: setup ## compile the requirement files again (ARGS=--upgrade takes new versions)
	@bash tools/lock.sh $(ARGS)

sessions: setup ## write the table of closed and half days of the exchanges again
	@$(python) tools/sessions.py

checks-table: setup ## write the table of checks in docs/messages.md again
	@$(python) tools/checks_table.py

architecture: setup ## write the tree in docs/architecture.md again
	@$(python) tools/architecture.py

bench: setup ## run every benchmark (ARGS="--quick --json")
	@status=0; for file in $(wildcard tests/benchmarks/[a-z]*.py); do \
	  $(python) -m tests.benchmarks.$$(basename $$file .py) $(ARGS) || status=1; \
	done; exit $$status

soak: setup ## run the long forms of the tests that have one
	@LEAN_LITE_SOAK=1 $(python) -m pytest -m soak --timeout 0 $(ARGS)

docs: setup ## run the code blocks of the README and of docs/
	@$(python) -m pytest $(parallel) tests/docs $(ARGS)

images: setup ## build the test images of Python, NATS and Valkey without a registry
	@bash tools/images.sh

version: setup ## set the version of all distributions (ARGS=0.3.0)
	@bash tools/version.sh $(ARGS)

wheels: setup ## build the wheels of all distributions into dist/
	@bash tools/wheels.sh

clean: ## remove caches and build results; the environment stays
	@rm -rf .coverage* .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache build dist
	@find libs services tests -name __pycache__ -prune -exec rm -rf {} +
