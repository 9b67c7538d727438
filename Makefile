# `make demo` and `make test` need Python 3.11+, make and PyPI; each sets up .venv by itself.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: demo test check format exam-nano bench-prefix bench-synthesis clean

demo: $(VENV)/.train
	$(BIN)/gentool run recipes/demo.yaml

test: $(VENV)/.dev check
	$(BIN)/pytest -n 2

check: $(VENV)/.dev
	$(BIN)/ruff check src tests bench
	$(BIN)/ruff format --check src tests bench
	$(BIN)/mypy

format: $(VENV)/.dev
	$(BIN)/ruff check --fix src tests bench
	$(BIN)/ruff format src tests bench

exam-nano: $(VENV)/.train
	$(BIN)/python -m gentool.nano.exam

bench-prefix: $(VENV)/.dev
	$(BIN)/python -m bench.prefix $(ARGS)

bench-synthesis: $(VENV)/.dev
	$(BIN)/python -m bench.synthesis $(ARGS)

$(BIN)/pip:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.11")'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.train: $(BIN)/pip pyproject.toml constraints.txt
	$(BIN)/pip install -q -c constraints.txt -e '.[train]'
	touch $@

$(VENV)/.dev: $(BIN)/pip pyproject.toml constraints.txt
	$(BIN)/pip install -q -c constraints.txt -e '.[dev]'
	touch $@

clean:
	rm -rf $(VENV)
