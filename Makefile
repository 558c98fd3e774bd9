# mininet_kronos: `make help` lists the verbs. Everything is made in this checkout; only Debian packages go elsewhere.

SHELL := /bin/bash
VENV := .venv
PYTHON := $(VENV)/bin/python
PYTHON_SOURCES := mininet_kronos kronos_functions topologies tests benchmarks scripts setup.py
C_SOURCES := $(shell find tracer kernel_module/uapi -path tracer/build -prune -o -type f -print)

# Mininet needs root. Under sudo, leave no files of root's in the checkout.
ifeq ($(shell id -u),0)
AS_ROOT :=
PYTEST := $(PYTHON) -m pytest
else
AS_ROOT := sudo env PYTHONDONTWRITEBYTECODE=1
PYTEST := $(PYTHON) -m pytest -p no:cacheprovider
endif

.DEFAULT_GOAL := help
.PHONY: help setup system-packages test-packages demo test stress lint docs bench vm-test vm-bench vm-debug vm-check lab clean

help: ## list the verbs
	@sed -nE 's/^([a-z-]+):.*## (.*)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 16

setup: $(VENV)/.package ## install what is needed: Debian packages, the C parts, .venv with kronos and tracer

system-packages:
	@scripts/system-packages.sh

test-packages:
	@scripts/system-packages.sh test

$(VENV)/.requirements: requirements.txt scripts/python-packages.sh | system-packages
	@scripts/python-packages.sh $(VENV)
	@touch $@

$(VENV)/.package: $(VENV)/.requirements setup.py pyproject.toml VERSION $(C_SOURCES) | system-packages
	@echo "*** Building the C parts and installing mininet_kronos into $(VENV)"
	@$(PYTHON) -m pip --quiet --disable-pip-version-check install --no-build-isolation --no-deps --editable .
	@touch $@

demo: setup ## run a small network in real time and in virtual time, side by side
	@$(AS_ROOT) $(PYTHON) -m mininet_kronos.demo

test: test-packages setup ## run the tests
	@$(AS_ROOT) $(PYTEST) tests

stress: test-packages setup ## run the tests of many processes, timers, deaths and rounds at full length
	@$(AS_ROOT) env KRONOS_STRESS=1 $(PYTEST) -s --timeout 3600 -o faulthandler_timeout=0 -o session_timeout=14400 tests/test_stress.py

lint: $(VENV)/.requirements ## check style and types, and compile the C parts with warnings as errors
	@$(VENV)/bin/ruff check $(PYTHON_SOURCES)
	@$(VENV)/bin/ruff format --check $(PYTHON_SOURCES)
	@$(VENV)/bin/mypy $(PYTHON_SOURCES)
	@$(MAKE) --no-print-directory --silent -C tracer WERROR=1 BUILD=build/lint

docs: setup ## build the documentation as a site, in build/site
	@$(PYTHON) -m mkdocs --quiet build

bench: setup ## measure what the engine costs, against native runs, then links, TCP and first pings: benchmarks/
	@$(AS_ROOT) $(PYTHON) -m benchmarks; status=$$?; for script in links tcp losses controller; do \
		$(AS_ROOT) $(PYTHON) -m benchmarks.$$script || exit 1; done; exit $$status

vm-test: $(if $(FULL),setup) ## test the kernel module on stock kernels in virtual machines (FULL=1: all of it)
	@scripts/system-packages.sh vm
	@scripts/vm/test.sh $(if $(FULL),full)

vm-bench: setup ## measure what the kernel module's virtual time costs, in virtual machines, and both engines side by side
	@scripts/system-packages.sh vm
	@TESTS=bench-all scripts/vm/test.sh
	@scripts/vm/network.sh 6.1 python -m benchmarks.engines

vm-debug: ## test the kernel module on a kernel with its checkers on: KASAN, lockdep, UBSAN, kmemleak
	@scripts/system-packages.sh vm
	@KERNELS=6.1-debug scripts/vm/test.sh $(if $(FULL),full)

vm-check: ## check the module: style, every warning, and that it installs, also by dkms, for both kernels
	@scripts/system-packages.sh vm
	@scripts/vm/check.sh

lab: ## boot a virtual machine with the kernel module and a shell on its console
	@scripts/system-packages.sh vm
	@scripts/vm/lab.sh

clean: ## remove everything that make made here (Debian packages stay)
	@rm -rf $(VENV) .cache/vm tracer/build mininet_kronos/native build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
