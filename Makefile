# Needs make, a POSIX shell and python3 >= 3.11; everything else goes into .venv. Windows: see README.md.
PYTHON ?= python3
VENV := .venv
PY := $(VENV)/bin/python
PIP := $(PY) -m pip install --quiet --disable-pip-version-check
JOBS ?= 2
# the libraries that the benchmarks compare with have an environment of their own
BENCH := .venv-bench

.PHONY: demo test crash lint bench docs clean help

help:
	@echo "make demo | test | crash | lint | bench | docs | clean"

demo: $(VENV)/.core
	@$(PY) -m examples.health --path "$(or $(DEMO_PATH),.)"

test: $(VENV)/.dev
	@$(PY) -m pytest -q -n $(JOBS) $(ARGS)

# kills runs at every one of their writes, where `make test` takes a sample; EXAMPLES random workflows on each event loop;
# a database that is kept locked is so for six seconds. Tests take minutes here, which elsewhere means that one hangs
EXAMPLES ?= 25
crash: $(VENV)/.dev
	@LOOMGRAPH_CRASH_STRIDE=1 LOOMGRAPH_CRASH_LOCKED=6 LOOMGRAPH_CRASH_EXAMPLES=$(EXAMPLES) $(PY) -m pytest -q -n $(JOBS) -o timeout=3600 tests/crash tests/architectures/test_killed.py

lint: $(VENV)/.dev
	$(PY) -m ruff check .
	$(PY) -m mypy
	$(PY) -m pyright
	$(VENV)/bin/lint-imports --no-cache

bench: $(BENCH)/.bench
	@$(BENCH)/bin/python -m benchmarks $(ARGS)

# the variable silences a notice of the theme about its successor
docs: $(VENV)/.docs
	@NO_MKDOCS_2_WARNING=1 $(PY) -m mkdocs build --strict
	$(PY) -m tests.api.site site

clean:
	rm -rf $(VENV) $(BENCH) build dist site out .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# Each stamp stands for an installed set of requirements and is older than pyproject.toml when they changed.
$(VENV)/.python:
	@$(PYTHON) -c 'import sys; sys.exit(None if sys.version_info >= (3, 11) else "loomgraph needs Python 3.11 or newer; say which with: make PYTHON=python3.12 $(MAKECMDGOALS)")'
	@test -x $(PY) || $(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/.core: $(VENV)/.python pyproject.toml
	@echo "installing loomgraph into $(VENV) (once)"
	@$(PIP) --editable .
	@touch $@

$(VENV)/.dev: $(VENV)/.python pyproject.toml
	@echo "installing loomgraph and its development tools into $(VENV) (once)"
	@$(PIP) --editable ".[dev]"
	@touch $(VENV)/.core $@

$(BENCH)/.bench: $(VENV)/.python pyproject.toml benchmarks/requirements.txt
	@echo "installing loomgraph and the libraries it is compared with into $(BENCH) (once)"
	@test -x $(BENCH)/bin/python || $(PYTHON) -m venv $(BENCH)
	@$(BENCH)/bin/python -m pip install --quiet --disable-pip-version-check --editable . -r benchmarks/requirements.txt
	@touch $@

$(VENV)/.docs: $(VENV)/.python pyproject.toml
	@$(PIP) --editable ".[docs]"
	@touch $(VENV)/.core $@
