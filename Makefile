# Every target sets up what it needs by itself and costs nothing when there is nothing to do.
#   make PYTHON=/path/to/python3.12 venv     chooses the interpreter

VENV := .venv
BIN := $(VENV)/bin
# Tests wait for other processes half of the time, so more workers than cores; a file's tests stay together, for what they
# share. In order of the folders: unit tests, the shortest, come last, so that no worker is left alone with a long file.
# One that fails is run once more, and shown at the end whatever came of it (tests/conftest.py): several thousand tests with
# real servers, killed processes and interrupts on a busy machine meet once in some runs what has no other way to show itself,
# and such a defect should be mended, but not stop a change that has nothing to do with it.
PARALLEL := -n 4 --dist loadfile --no-loadscope-reorder --reruns 1
STAMP := $(VENV)/.installed
READY := $(VENV)/.compiled
PYTHON ?=

# Where Python is told to keep no bytecode, each worker would rewrite the assertions of all tests: 12 s of processor time, each time.
export PYTHONDONTWRITEBYTECODE :=

.DEFAULT_GOAL := help
PROTOCOL := jammi_sql/flight/protocol

.PHONY: help venv demo test test-stores test-wire check bench soak format protocol clean

help:
	@echo "make venv | demo | test | test-stores | test-wire | check | bench | soak | format | clean"

# The first interpreter that is new enough and really starts: a pyenv shim may stand for no version at all.
$(STAMP): pyproject.toml
	@set -e; chosen=""; \
	for candidate in $(or $(PYTHON),python3.13 python3.12 python3.11 python3 python); do \
	    if "$$candidate" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then \
	        chosen="$$candidate"; break; \
	    fi; \
	done; \
	if [ -z "$$chosen" ]; then echo "no working Python 3.11 or newer found; set PYTHON=" >&2; exit 1; fi; \
	echo "creating $(VENV) with $$("$$chosen" --version)"; \
	"$$chosen" -m venv --clear $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade pip
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@

# Where Python may not write what it compiled (PYTHONDONTWRITEBYTECODE), each start would compile all of it anew: 0.8 s.
$(READY): $(STAMP) $(shell find jammi_sql sql udfs -name '*.py')
	$(BIN)/python -m compileall -q jammi_sql sql udfs
	@touch $@

venv: $(READY)

# The messages of Flight SQL, compiled: the result is checked in.
protocol: $(STAMP)
	$(BIN)/python -m grpc_tools.protoc -I $(PROTOCOL) --descriptor_set_out=$(PROTOCOL)/protocol.binpb flight.proto flight_sql.proto session.proto

demo: $(READY)
	$(BIN)/python -m jammi_sql.console.demo

test: $(READY)
	$(BIN)/python -m pytest $(PARALLEL)

# What `make test` has no time for: all tests of tables on PostgreSQL as well.
test-stores: $(READY)
	$(BIN)/python -m pytest $(PARALLEL) --both-stores -m both_stores -k postgres tests

# The tests of the language, of tables and of connections through a server in another process.
WIRE := $(addprefix tests/acceptance/,test_language_*.py test_tables_*.py test_known_relations.py test_results_outlive_statements.py) tests/dbapi
test-wire: $(READY)
	$(BIN)/python -m pytest $(PARALLEL) --store wire tests/wire $(WIRE)

check: $(READY)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(MAKE) test

bench: $(READY)
	$(BIN)/python -m pytest -q -m bench --timeout 0 -s tests/bench

soak: $(READY)
	HYPOTHESIS_PROFILE=thorough $(BIN)/python -m pytest -m "soak or not bench" --both-stores --timeout 3600
	$(BIN)/python -m pytest --store postgres tests/acceptance -k "language or known or outlive"
	$(BIN)/python -m pytest --store wire $(WIRE)

format: $(STAMP)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean:
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
