# Every target sets up what it needs; a second run finds it done. `make` alone lists the targets.

PYTHON ?= $(shell for p in python3.11 python3.12 python3.13 python3.14 python3; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
VENV := .venv
BIN := $(VENV)/bin
PIP := -m pip --disable-pip-version-check --quiet install -c .ci/constraints.txt
WORKERS ?= 2

export PYRIGHT_PYTHON_IGNORE_WARNINGS := 1

.DEFAULT_GOAL := help
.PHONY: help setup demo test test-litellm check check-format check-lint check-mypy check-pyright format bench semantic-score pii-score docs cov lock test-all clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: $(VENV)/.installed ## create the environment in .venv

demo: setup ## run the main job: guarded calls against a provider that fails
	$(BIN)/python examples/demo.py $(ARGS)

# The serial part comes first, and may be empty (pytest's exit code 5). What fails is told, and run once
# more by itself: real servers, processes and clocks share the machine with it.
test: setup ## run the tests (without those marked long)
	$(BIN)/python -m pytest -q -m "serial and not long" $(ARGS) || [ $$? -eq 5 ] || \
		$(BIN)/python -m pytest -q --last-failed --last-failed-no-failures none -m "serial and not long" $(ARGS)
	$(BIN)/python -m pytest -q -n $(WORKERS) -m "not serial and not long" $(ARGS) || \
		$(BIN)/python -m pytest -q --last-failed --last-failed-no-failures none -m "not serial and not long" $(ARGS)

# LiteLLM cannot live beside the others, see .ci/litellm.txt: its example runs in an environment of its own.
test-litellm: .venvs/litellm/.installed ## run the example of LiteLLM
	.venvs/litellm/bin/python -m pytest -q tests/examples/test_litellm_router.py

# Four targets, so that `make -k check` says everything at once.
check: check-format check-lint check-mypy check-pyright ## check format, lint and strict types

check-format: setup
	$(BIN)/ruff format --check .

check-lint: setup
	$(BIN)/ruff check .

check-mypy: setup
	$(BIN)/mypy src $(wildcard tests/typing)

check-pyright: setup
	$(BIN)/pyright --pythonpath $(BIN)/python src $(wildcard tests/typing)

format: setup ## format and mend what ruff can
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(VENV)/.installed-bench .venvs/litellm/.installed .venvs/pii/.installed ## measure against peers, write benchmarks/RESULTS.md
	$(BIN)/python -m benchmarks $(ARGS)

semantic-score: setup ## measure what a semantic cache finds and refuses
	$(BIN)/python -m benchmarks.semantic

# Its peers have an environment of their own, made when they are asked for.
pii-score: setup $(if $(findstring --peers,$(ARGS)),.venvs/pii/.installed) ## measure what detectors of personal data find; ARGS=--peers beside others
	$(BIN)/python -m benchmarks.pii $(ARGS)

safety-score: setup ## measure what moderation, the screening of injections and grounding find
	$(BIN)/python -m benchmarks.safety
	$(BIN)/python -m benchmarks.grounding

docs: $(VENV)/.installed-docs ## build the documentation into site/, warnings are errors
	$(BIN)/zensical build --clean --strict

cov: setup ## measure branch coverage
	$(BIN)/python -m pytest -q -n $(WORKERS) -m "not long" --cov --cov-report=term

test-all: setup .venvs/previous/.installed .venvs/litellm/.installed ## run what is long: other SDK generations, soak, races, other Pythons
	$(BIN)/python .ci/test_all.py $(ARGS)

lock: ## renew .ci/constraints.txt from what the newest releases resolve to
	rm -rf .venvs/lock
	$(PYTHON) -m venv .venvs/lock
	.venvs/lock/bin/python -m pip --disable-pip-version-check --quiet install -e '.[dev,bench,docs]'
	.venvs/lock/bin/python .ci/lock.py > .ci/constraints.txt
	rm -rf .venvs/lock

clean: ## remove environments, caches and build products
	rm -rf .venv .venvs .cache .mypy_cache .pytest_cache .ruff_cache .hypothesis build dist site htmlcov .coverage
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/.installed: pyproject.toml .ci/constraints.txt
	@test -n "$(PYTHON)" || { echo "agentguard needs Python 3.11 or newer on PATH (or make PYTHON=...)" >&2; exit 1; }
	@echo "setting up $(VENV) (about a minute, once)"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python $(PIP) -e '.[dev]'
	@touch $@

$(VENV)/.installed-%: $(VENV)/.installed
	@$(BIN)/python $(PIP) -e '.[$*]'
	@touch $@

# What a file here names is pinned there; the rest resolves around it, so no constraints.
.venvs/%/.installed: .ci/%.txt pyproject.toml
	@test -n "$(PYTHON)" || { echo "agentguard needs Python 3.11 or newer on PATH (or make PYTHON=...)" >&2; exit 1; }
	@echo "setting up .venvs/$* (about a minute, once)"
	@test -x .venvs/$*/bin/python || $(PYTHON) -m venv .venvs/$*
	@.venvs/$*/bin/python -m pip --disable-pip-version-check --quiet install -e '.[redis,test]' -r .ci/$*.txt
	@touch $@
