# One verb per chore. Each target sets up what it needs: a `.venv` of its own, made with uv when that is present, else with
# venv and pip, and brought up to date when pyproject.toml changes. PYTHON=/path chooses the interpreter, ARGS="..." goes to
# the program that a target runs: `make test ARGS="-k house -x"`.

VENV := .venv
PY := $(VENV)/bin/python
HERE := $(VENV)/.made-in
MAKE_VENV := sh scripts/make-venv.sh
ARGS ?=

# A copied or moved tree brings along an environment that points at its old place.
ifneq ($(shell cat $(HERE) 2>/dev/null),$(CURDIR))
.PHONY: $(HERE)
endif

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help demo test test-slow check bench dev-setup install-grpc proto-python docs clean
.PHONY: lint format types api-types layers stubs

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1|\2/p' $(MAKEFILE_LIST) | while IFS='|' read -r target text; do printf '%-14s%s\n' "$$target" "$$text"; done

demo: $(VENV)/.has-examples ## live streams, a cancel, a killed worker: the product in under a minute
	@$(PY) examples/demo.py $(ARGS)

test: $(VENV)/.has-dev ## all tests
	$(PY) -m pytest $(ARGS)

test-slow: $(VENV)/.has-dev ## what takes minutes: the promises of SPECIFICATION.md in full, thousands of nested values, a million spoiled inputs at the wire
	PROMISES=full WIRE_INPUTS=1000000 $(PY) -m pytest tests/promises tests/contract/test_nested_values.py tests/pure/test_wire_mutated.py $(ARGS)

check: lint format types api-types layers stubs ## lint, format, types, layers, stubs

lint: $(VENV)/.has-dev
	$(PY) -m ruff check .

format: $(VENV)/.has-dev
	$(PY) -m ruff format --check .

types: $(VENV)/.has-dev
	$(PY) -m mypy

api-types: $(VENV)/.has-dev
	$(PY) -m pyright

layers: $(VENV)/.has-dev
	$(PY) -c "from importlinter.cli import lint_imports_command as main; main(['--no-logo'])"

stubs: $(VENV)/.has-dev
	$(PY) scripts/make_stubs.py --check

bench: $(VENV)/.has-dev ## snakepit beside its peers, measured here; ARGS="--quick" for five minutes
	@$(PY) -m benchmarks $(ARGS)

dev-setup: $(VENV)/.has-dev ## a complete development environment
	@echo "ready: . $(VENV)/bin/activate"

install-grpc: $(VENV)/.has-grpc ## the library with what the gRPC protocol needs
	@$(PY) -c "import grpc, snakepit_bridge.grpc.snakepit_pb2; print('gRPC', grpc.__version__, 'is ready: . $(VENV)/bin/activate')"

proto-python: $(PY) ## make the stubs of the public service again, from proto/
	@$(PY) scripts/make_stubs.py $(ARGS)

docs: $(VENV)/.has-docs ## the documentation as HTML in docs/_build
	@$(PY) -m sphinx --fail-on-warning --keep-going --quiet -b html docs docs/_build $(ARGS)
	@echo "docs/_build/index.html"

clean: ## remove what was made, and nothing else
	@sh scripts/clean.sh

# ---- the environment ----

$(PY):
	@$(MAKE_VENV) $(VENV) 3.11 -

$(HERE): $(PY)
	@echo $(CURDIR) > $@

# .has-EXTRA: the project is installed in place, with that extra.
$(VENV)/.has-%: pyproject.toml scripts/make-venv.sh $(HERE)
	@$(MAKE_VENV) $(VENV) 3.11 - -e '.[$*]'
	@touch $@
	@[ $* != dev ] || touch $(VENV)/.has-examples $(VENV)/.has-grpc
