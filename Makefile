# One word per task; CI calls `make test` and nothing else. `make help` lists the words.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
ENGINE_SOURCES := setup.py $(shell find media -name '*.pyx' -o -name '*.pxd' -o -name '*.c' -o -name '*.h')
# TANDEM_ENGINE=debug builds the engine with checks and symbols (see setup.py).
ENGINE := $(or $(TANDEM_ENGINE),release)
# `make test PYTEST="-k ivr -x"` narrows a run.
PYTEST ?=
# Tests with real phones wait more than they work: more workers than cores.
WORKERS ?= 4
# Two makes in one tree (two terminals, say) take turns at installing.
ALONE := mkdir -p build && exec 9>build/.lock && flock 9 &&

.PHONY: help
help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sort | awk -F ':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

# --- set-up -------------------------------------------------------------------------------------------------------
$(VENV)/.created:
	@command -v $(PYTHON) >/dev/null || { echo "Tandem needs Python 3.11 or newer; there is no '$(PYTHON)'." >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "Tandem needs Python 3.11 or newer; '$(PYTHON)' is $$($(PYTHON) -V). Try: make PYTHON=python3.12 build" >&2; exit 1; }
	PYTHON=$(PYTHON) tools/install-apt.sh build
	$(ALONE) $(PYTHON) -m venv $(VENV)
	touch $@

# The build requirements go in the environment itself, so that compiling again needs no network.
$(VENV)/.runtime: pyproject.toml setup.py | $(VENV)/.created
	$(ALONE) $(BIN)/python -c 'import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["build-system"]["requires"], sep="\n")' > build/requires.txt \
	  && $(BIN)/python -m pip install --quiet --disable-pip-version-check -r build/requires.txt \
	  && TANDEM_ENGINE=none $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-build-isolation -e .
	touch $@

$(VENV)/.dev: $(VENV)/.runtime
	$(ALONE) TANDEM_ENGINE=none $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-build-isolation -e '.[dev]'
	touch $@

$(VENV)/.engine-$(ENGINE): $(ENGINE_SOURCES) | $(VENV)/.runtime
	[ -e $@ ] || find media -name '*.so' -delete
	$(ALONE) TANDEM_ENGINE=$(ENGINE) $(BIN)/python setup.py --quiet build_ext --inplace --parallel 2 \
	  --build-temp build/temp-$(ENGINE) --build-lib build/lib-$(ENGINE)
	rm -f $(VENV)/.engine-*
	touch $@

.PHONY: build dev apt
build: $(VENV)/.runtime $(VENV)/.engine-$(ENGINE) ## environment, Tandem (editable) and the compiled media engine
dev: build $(VENV)/.dev ## the same with the developer tools
apt: ## the system packages of the tests
	PYTHON=$(PYTHON) tools/install-apt.sh test

# --- gates --------------------------------------------------------------------------------------------------------
.PHONY: lint types imports check test quick sim survive acd cov
lint: dev ## ruff (rules and format) and codespell
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/codespell

types: dev ## mypy, strict
	$(BIN)/mypy

imports: dev ## who may import whom
	$(BIN)/lint-imports

check: lint types imports

test: apt check ## everything: system packages, gates, all tests
	$(BIN)/pytest -n $(WORKERS) $(PYTEST)

quick: dev ## the tests alone, with what is installed
	$(BIN)/pytest -n $(WORKERS) $(PYTEST)

sim: dev ## the whole switch in virtual time: a thousand calls for each of twenty seeds
	TANDEM_SIM_CALLS=1000 $(BIN)/pytest -n auto --timeout 900 tests/sim/test_whole_switch.py

survive: dev ## 200 calls up and call control killed: no gap as recorded, every place and record kept
	TANDEM_SURVIVE_CALLS=200 $(BIN)/pytest --timeout 300 tests/interop/test_survival.py -k many

acd: dev ## the ACD under random inputs, with many more and longer examples than `make test`
	TANDEM_ACD_EXAMPLES=3000 $(BIN)/pytest -n auto --timeout 3600 tests/property/test_acd_machine.py tests/property/test_acd_fairness.py

cov: dev ## branch coverage
	$(BIN)/pytest -n auto --cov --cov-report=term --cov-report=html:build/htmlcov $(PYTEST)

# --- run ----------------------------------------------------------------------------------------------------------
.PHONY: demo serve
$(VENV)/.demo: $(VENV)/.runtime
	$(ALONE) TANDEM_ENGINE=none $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-build-isolation -e '.[demo]'
	touch $@

demo: build $(VENV)/.demo ## a call centre on this machine, calling itself (KEEP=1 leaves it running, PHONES=sipp)
	[ "$(PHONES)" != sipp ] && $(BIN)/python -c 'import pjsua2' 2>/dev/null || PYTHON=$(PYTHON) tools/install-apt.sh demo
	KEEP=$(KEEP) PHONES=$(PHONES) $(BIN)/python -m tools.demo

serve: build ## the server with config/
	$(BIN)/tandem serve --config config/

# --- measure, generate, clean -------------------------------------------------------------------------------------
.PHONY: bench-media bench-sip bench-ivr bench-acd bench-cti schemas docs clean
bench-media bench-sip bench-ivr bench-acd bench-cti: bench-%: build
	$(BIN)/python -m tools.bench_$*

schemas: build ## JSON Schemas of configuration, flows and CTI, from the code
	$(BIN)/python -m tools.schemas

docs: build ## the generated parts of docs/
	$(BIN)/python -m tools.docs

clean: ## all that was built; var/ (your data) stays
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .coverage .coverage.*
	find media pbx tests tools -name __pycache__ -prune -exec rm -rf {} +
	find media -name '*.so' -delete
