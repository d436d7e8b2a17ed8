# Everything that a fresh clone on a fresh Debian 12 needs; each target installs what it lacks.
#
#   make demo    a real video call between two daemons on this machine
#   make run     the daemon in the foreground, with a hub and an echo user to call
#   make test    the tests          make lint    style, types, contracts between rooms, the API
#   make bench   the benchmarks     make proto   the stubs, from proto/
#   make lock    the locked dependencies, from pyproject.toml

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SEEDS ?= 20000
export PYTHON

.DEFAULT_GOAL := help
.PHONY: help demo run test unit integration lint bench proto lock setup setup-dev setup-tests clean

help:
	@sed -n '3,8s/^# *//p' Makefile

# --- setting up -------------------------------------------------------------------------------------

# The locks are complete: with --no-deps pip resolves nothing, and so cannot ask for what is not in them.
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet install

$(VENV)/.created:
	@.ci/install-packages $(PYTHON)=python3 python3-venv=python3-venv
	$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/.runtime: $(VENV)/.created requirements.lock pyproject.toml clients/python/pyproject.toml
	$(PIP) --no-deps --require-hashes -r requirements.lock
	$(PIP) --no-deps --no-build-isolation --no-index -e clients/python -e .
	@touch $@

$(VENV)/.dev: $(VENV)/.runtime requirements-dev.lock
	$(PIP) --no-deps --require-hashes -r requirements-dev.lock
	$(BIN)/python -m pip check
	@touch $@

setup: $(VENV)/.runtime
	@.ci/install-packages '/usr/lib/*/libportaudio.so.2=libportaudio2'

setup-dev: setup $(VENV)/.dev

clients/node/node_modules/.installed: clients/node/package-lock.json
	@.ci/install-packages node=nodejs npm=npm
	cd clients/node && npm ci --silent --no-audit --no-fund
	@touch $@

# --- what it is for ---------------------------------------------------------------------------------

demo: setup
	$(BIN)/mediaagentd demo

run: setup
	$(BIN)/mediaagentd run --dev

# --- keeping it right -------------------------------------------------------------------------------

# What the tests speak with. Laboratories need root: without it they say so and are not run.
setup-tests: setup-dev clients/node/node_modules/.installed
	@.ci/install-packages chromium=chromium turnserver=coturn openssl=openssl pulseaudio=pulseaudio pactl=pulseaudio-utils Xvfb=xvfb xauth=xauth '/usr/lib/*/libSDL2-2.0.so.0=libsdl2-2.0-0' nft=nftables ip=iproute2

test: setup-tests
	@$(MAKE) --no-print-directory unit integration

# The worlds of the simulation and the calls in virtual time need a core of their own; the unit tests wait a third of
# their time, for threads and children.
unit: setup-dev
	.ci/lanes unit='tests/unit --ignore=tests/unit/media' unit-media=tests/unit/media \
	  simulation='tests/simulation --seeds $(SEEDS)' virtual=tests/virtual

# What mostly waits (for a hub that is killed, a machine that boots, a child that gets ready) beside what sends and shows
# pictures, measures them and needs the cores.
integration: setup-tests
	.ci/lanes \
	  media='$(addprefix tests/integration/,media netlab rtc) tests/browser' \
	  waiting='$(addprefix tests/integration/,daemon group hub story systemd) tests/clients'

lint: setup-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy agent/mediaagentd clients/python/mediaagent tests proto/generate.py
	$(BIN)/lint-imports
	cd proto && PATH="$(CURDIR)/$(BIN):$$PATH" buf lint && PATH="$(CURDIR)/$(BIN):$$PATH" buf format --diff --exit-code --path mediaagent
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python proto/generate.py --check

bench: setup-dev
	-@.ci/install-packages nft=nftables ip=iproute2
	$(BIN)/python -m tests.bench

proto: setup-dev
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python proto/generate.py

lock: setup-dev
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links \
	  --no-header --no-annotate --upgrade --no-emit-package mediaagent -o requirements.lock pyproject.toml --extra aec --group build
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links \
	  --no-header --no-annotate --upgrade --no-emit-package mediaagent -c requirements.lock -o requirements-dev.lock pyproject.toml --group dev

clean:
	rm -rf build $(VENV) clients/node/node_modules
