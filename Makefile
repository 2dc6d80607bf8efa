# `make demo` and `make test` need Python >= 3.11, git and make; the rest is set up in .venv.
PYTHON ?= $(shell python3.11 -c '' 2>/dev/null && echo python3.11 || echo python3)
BIN := .venv/bin
export OMP_NUM_THREADS ?= 2

.PHONY: help demo study test test-slow test-faults test-fuzz test-deepspeed test-gpu test-swift test-verl audit check lint docs notebook format bench findings walkthrough dist clean

help:
	@echo "make demo    the whole loop on drawn films, one report (runs/demo)"
	@echo "make study   the same with three seeds, control arms and intervals"
	@echo "make test    all tests that need no GPU"
	@echo "make test-slow  the tests that take longer, alone"
	@echo "make test-faults  runs that are killed, cut, pre-empted or spread over processes"
	@echo "make test-fuzz  damaged files, films, texts, settings and models by the thousand"
	@echo "make test-gpu  what only a GPU shows"
	@echo "make test-deepspeed  ZeRO on two CPU processes, in an environment of its own"
	@echo "make test-swift, make test-verl  the rewards in ms-swift and veRL, each in an environment of its own"
	@echo "make check   make lint (formatting, lint, types, import layers) and make docs"
	@echo "make docs    the site of the docs (docs/_build/html/index.html), warnings as errors"
	@echo "make audit   known advisories of the pinned packages, from an online database"
	@echo "make format  apply formatting and the fixes that are safe; write docs/errors.md again"
	@echo "make bench   measure; each script prints one table"
	@echo "make notebook  run examples/quickstart.ipynb from top to bottom"
	@echo "make findings  what outside libraries do that nobody would guess: run every script, from the network"
	@echo "make walkthrough  every command of the first pages, in a fresh clone"
	@echo "make dist    wheel and sdist, checked, and tried in an environment of their own"
	@echo "make clean   remove .venv and caches (runs/ stays)"
	@echo "ARGS=... passes words on: make demo ARGS=--overwrite, make test ARGS=tests/graph"

.venv/.installed: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
		echo "Python 3.11 or newer is needed, and '$(PYTHON)' is not: install it, or name one with make PYTHON=/path/to/python" >&2; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install -q --disable-pip-version-check -c constraints.txt -e '.[train,report,ray,docs,dev]'
	@touch $@

demo: .venv/.installed
	$(BIN)/chexphi demo --out runs/demo $(ARGS)

study: .venv/.installed
	$(BIN)/chexphi study $(ARGS)

# Three processes: each waits now and then for those that it starts.
test: .venv/.installed
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -n 3 --dist loadfile --no-loadscope-reorder --unraised=whole $(ARGS)

test-slow: .venv/.installed
	$(BIN)/python -m pytest -q -m slow $(ARGS)

test-faults: .venv/.installed
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -m faults $(ARGS)

# Two processes; ARGS="--seed 7", --kinds films, --help. The seed is printed.
test-fuzz: .venv/.installed
	OMP_NUM_THREADS=1 PYTHONPATH="$(CURDIR)/tests" $(BIN)/python -m fuzz.run $(ARGS)

# Wants a GPU, and the torch for it.
test-gpu: .venv/.installed
	$(BIN)/python -m pytest -q -m gpu $(ARGS)

# Beside what the other tests need; nothing of DeepSpeed's is compiled while it is installed.
.venv-deepspeed/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv-deepspeed
	DS_BUILD_OPS=0 .venv-deepspeed/bin/python -m pip install -q --disable-pip-version-check -c constraints.txt -e '.[train,dev]' deepspeed==0.19.8
	@touch $@

test-deepspeed: .venv-deepspeed/.installed
	OMP_NUM_THREADS=1 PATH="$(CURDIR)/.venv-deepspeed/bin:$$PATH" \
		.venv-deepspeed/bin/python -m pytest -q -m faults $(ARGS) tests/training/test_deepspeed.py

# The light core beside another training stack's own libraries.
.venv-%/.installed: pyproject.toml tests/integrations/%.txt
	$(PYTHON) -m venv .venv-$*
	.venv-$*/bin/python -m pip install -q --disable-pip-version-check -r tests/integrations/$*.txt -e .
	@touch $@

test-swift: .venv-swift/.installed
	.venv-swift/bin/python -m pytest -q --noconftest -m stack $(ARGS) tests/integrations/test_swift_runs.py

# veRL asks for much that its rewards do not need.
test-verl: .venv-verl/.installed
	.venv-verl/bin/python -m pip install -q --disable-pip-version-check --no-deps verl==0.9.1
	.venv-verl/bin/python -m pytest -q --noconftest -m stack $(ARGS) tests/integrations/test_verl_runs.py

# The two take about as long, side by side.
check: .venv/.installed
	@$(MAKE) --no-print-directory -j 2 docs lint

lint: .venv/.installed
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy src
	$(BIN)/lint-imports --no-logo

.venv/.notebook: .venv/.installed
	$(BIN)/python -m pip install -q --disable-pip-version-check -c constraints.txt -e '.[notebook]'
	@touch $@

notebook: .venv/.notebook
	$(BIN)/python .ci/notebook.py

# Built from the pages and the docstrings; nothing is fetched.
docs: .venv/.installed
	OMP_NUM_THREADS=1 $(BIN)/python -m sphinx -q -W --keep-going -j 2 -b html docs docs/_build/html

.venv-audit/.installed: Makefile
	$(PYTHON) -m venv .venv-audit
	.venv-audit/bin/python -m pip install -q --disable-pip-version-check pip-audit==2.10.1
	@touch $@

audit: .venv-audit/.installed
	.venv-audit/bin/python .ci/audit.py constraints.txt

format: .venv/.installed
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .
	$(BIN)/python tests/errors_page.py

bench: .venv/.installed
	@for script in $(sort $(wildcard bench/[a-z]*.py)); do echo "== $$script"; $(BIN)/python "$$script" || exit 1; done

# Each makes a temporary environment of public packages; none of it is part of CI.
findings:
	@changed=; for script in $(or $(ARGS),$(sort $(wildcard findings/*.sh))); do \
		echo "== $$script"; "./$$script" || changed="$$changed $$script"; done; \
	[ -z "$$changed" ] || { echo "failed:$$changed" >&2; exit 1; }

# Needs no environment of its own: the pages' first command makes it.
walkthrough:
	$(PYTHON) .ci/walkthrough.py $(ARGS)

.venv-dist/.installed: Makefile
	$(PYTHON) -m venv .venv-dist
	.venv-dist/bin/python -m pip install -q --disable-pip-version-check build==1.6.1 twine==7.0.0
	@touch $@

dist: .venv-dist/.installed
	.venv-dist/bin/python .ci/dist.py

clean:
	rm -rf .venv .venv-audit .venv-deepspeed .venv-dist .venv-swift .venv-verl .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache docs/_build docs/generated build dist src/*.egg-info
	find src tests bench -name __pycache__ -type d -prune -exec rm -rf {} +
