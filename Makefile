# Two commands matter: `make demo` shows the product, `make test` guards it. Both install what they need.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check

.PHONY: help demo test check unit gen format fuzz chaos clean

help: ## list the targets
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 12

$(BIN)/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed; make PYTHON=python3.11")'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.server: pyproject.toml | $(BIN)/python
	$(PIP) install --quiet --editable '.[all]'
	@touch $@

$(VENV)/.dev: pyproject.toml | $(BIN)/python
	$(PIP) install --quiet --editable '.[dev]'
	@touch $@ $(VENV)/.server

demo: $(VENV)/.server ## run a prompt over a real clip, from upload to results
	$(BIN)/promptreel models pull
	$(BIN)/promptreel demo

test: check unit ## everything that guards the project

check: $(VENV)/.dev ## lint, types, import directions
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy client server tests benchmarks demo tools
	$(BIN)/lint-imports

unit: $(VENV)/.dev ## the tests; without the network, those that need models say why they are skipped
	-$(BIN)/promptreel models pull
	$(BIN)/python -m pytest -n 2 --dist loadfile

gen: $(VENV)/.dev ## generate gen/ and the gateway's descriptor from proto/
	$(BIN)/python tools/gen.py

format: $(VENV)/.dev ## format the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean: ## remove what the targets made
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

fuzz: $(VENV)/.dev ## hostile schemas and answers, then the API against its own description for twenty minutes
	FUZZ_CASES=20000 $(BIN)/python -m pytest tests/fuzz --timeout 3600
	FUZZ_SECONDS=1200 $(BIN)/python -m pytest tests/gateway/test_description.py -s

chaos: $(VENV)/.dev ## kill the server thirty times and count what is left
	CHAOS=long $(BIN)/python -m pytest tests/chaos -x
