# The two commands are `make demo` and `make test`; each does its own set-up and is safe to repeat.
# Stamp files remember what is done: .venv/.stamp-* for Python and Rust, web/node_modules/.stamp-* for the pages.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.SUFFIXES:

venv := .venv
bin := $(venv)/bin
manifest := media/rust/Cargo.toml
# The load of the forwarding benchmark, a workspace of its own; always the release profile, so that it is built once.
load := tests/bench/forwarding/load/Cargo.toml

# One interpreter for maturin, cargo and the tests, or pyo3 is built once for each.
export PYO3_PYTHON := $(CURDIR)/$(bin)/python
# maturin takes this to mean the environment to install into, whatever the caller has activated.
export VIRTUAL_ENV := $(CURDIR)/$(venv)
export PIP_DISABLE_PIP_VERSION_CHECK := 1
unexport CONDA_PREFIX

rust_sources := $(shell find media/rust -name target -prune -o -type f -print 2>/dev/null)
web_sources := $(shell find web -name node_modules -prune -o -type f -print 2>/dev/null)

.PHONY: help demo test check setup build needs packages extension pages whip-page clean \
        check-python check-stub check-rust check-web test-rust test-python test-web fuzz bench

help:
	@echo "make demo    build everything and start a server with a demo lesson (Ctrl-C stops it)"
	@echo "make test    check, build and run every test, browsers included"
	@echo "make check   formatters, linters and type checkers only"
	@echo "make setup   the set-up alone: system packages, virtual environment, node modules"
	@echo "make build   the Rust extension (release) and the web application"
	@echo "make fuzz    every fuzz target for FUZZ_SECONDS (600)"
	@echo "make bench   what forwarding costs without sockets (criterion); figures in tests/bench/RESULTS.md"
	@echo "make clean   remove what the other commands made"

demo: build
	@exec $(bin)/luokkasilta demo

test: needs packages build
	@.ci/suite

check: build check-python check-stub check-rust check-web

setup: needs packages $(venv)/.stamp-dependencies web/node_modules/.stamp-modules

build: needs extension pages

# First of all prerequisites: without these nothing below can work.
needs:
	@deploy/setup/needs.sh

packages: needs
	@deploy/setup/packages.sh

# ---- Python and Rust -------------------------------------------------------------------------------------

extension: $(venv)/.stamp-extension

$(venv)/.stamp-made: | needs
	@echo "== virtual environment"
	@"$$(deploy/setup/python.sh)" -m venv $(venv)
	@touch $@

# maturin's version is read from pyproject.toml; it then installs the dependencies named there.
$(venv)/.stamp-dependencies: pyproject.toml $(venv)/.stamp-made
	@echo "== Python dependencies"
	@$(bin)/python deploy/setup/requirements.py | $(bin)/python -m pip install --quiet --requirement /dev/stdin
	@touch $@

$(venv)/.stamp-extension: $(rust_sources) $(venv)/.stamp-dependencies
	@echo "== Rust extension (release)"
	@PIP_QUIET=1 $(bin)/maturin develop --release --locked --quiet
	@touch $@

ifeq ($(wildcard media/_engine*.so),)
.PHONY: $(venv)/.stamp-extension
endif

# ---- the web application ---------------------------------------------------------------------------------

pages: web/node_modules/.stamp-pages

web/node_modules/.stamp-modules: web/package.json web/package-lock.json | needs
	@echo "== node modules"
	@cd web && npm ci --no-audit --no-fund --no-update-notifier --loglevel=error
	@touch $@

web/node_modules/.stamp-pages: $(web_sources) web/node_modules/.stamp-modules
	@echo "== web application"
	@cd web && npm run --silent build -- --logLevel=warn
	@touch $@

ifeq ($(wildcard signalling/static/*.html),)
.PHONY: web/node_modules/.stamp-pages
endif

# ---- foreign clients that tests drive ----------------------------------------------------------------------

# Of WHIP and WHEP, in a page of their own (tests/whip/page), bundled by the web application's vite.
clients := tests/whip/page

whip-page: $(clients)/node_modules/.stamp-page

$(clients)/node_modules/.stamp-page: $(addprefix $(clients)/,package.json package-lock.json index.html clients.js vite.config.js) web/node_modules/.stamp-modules
	@echo "== clients of WHIP and WHEP"
	@cd $(clients) && npm ci --no-audit --no-fund --no-update-notifier --loglevel=error
	@cd $(clients) && $(CURDIR)/web/node_modules/.bin/vite build --logLevel=warn
	@touch $@

ifeq ($(wildcard $(clients)/dist/index.html),)
.PHONY: $(clients)/node_modules/.stamp-page
endif

# ---- checks ----------------------------------------------------------------------------------------------

check-python: extension
	@echo "== ruff, mypy"
	@$(bin)/ruff check --quiet .
	@$(bin)/ruff format --quiet --check . || { echo "run: $(bin)/ruff format ."; exit 1; }
	@$(bin)/mypy

check-stub: extension
	@echo "== stubtest"
	@$(bin)/python -m mypy.stubtest media._engine --mypy-config-file pyproject.toml

check-rust: extension
	@echo "== cargo fmt, clippy"
	@cargo fmt --manifest-path $(manifest) --all -- --check
	@cargo clippy --manifest-path $(manifest) --locked --quiet --workspace --all-targets -- --deny warnings
	@cargo fmt --manifest-path $(load) -- --check
	@cargo clippy --manifest-path $(load) --release --locked --quiet --all-targets -- --deny warnings

check-web: pages
	@echo "== tsc, eslint"
	@cd web && npm run --silent check

# ---- tests -----------------------------------------------------------------------------------------------

test-rust: extension
	@cargo test --manifest-path $(manifest) --locked --workspace
	@cargo test --manifest-path $(load) --release --locked

test-python: build whip-page
	@$(bin)/python -m pytest

test-web: pages
	@cd web && npm test

# ---- micro benchmarks --------------------------------------------------------------------------------------

bench: needs
	@cargo bench --manifest-path $(manifest) --locked --package luokkasilta-engine --bench forwarding

# ---- fuzzing ---------------------------------------------------------------------------------------------

# Each target for so long, one after another, on stable Rust and so without a sanitizer. What is found lies in
# media/rust/engine/fuzz/target; the corpora themselves replay in test-rust.
FUZZ_SECONDS ?= 600
FUZZ_TARGETS ?= stun rtp extensions rtcp vp8 vp9 dependency h264 red framing srtp_open engine

fuzz: needs
	@command -v cargo-fuzz >/dev/null || cargo install cargo-fuzz --locked
	@cd media/rust/engine/fuzz; failed=; for target in $(FUZZ_TARGETS); do \
	    echo "== fuzz $$target, $(FUZZ_SECONDS) s"; \
	    mkdir -p target/new/$$target target/findings/$$target; \
	    nice -n 19 cargo fuzz run --fuzz-dir . --sanitizer none $$target target/new/$$target corpus/$$target -- \
	        -max_total_time=$(FUZZ_SECONDS) -timeout=10 -print_final_stats=1 \
	        -artifact_prefix=target/findings/$$target/ || failed="$$failed $$target"; \
	done; [ -z "$$failed" ] || { echo "something was found:$$failed" >&2; exit 1; }

clean:
	@rm -rf $(venv) web/node_modules web/dist $(clients)/node_modules $(clients)/dist signalling/static media/rust/target $(dir $(load))target tests/artifacts
	@rm -rf .mypy_cache .ruff_cache .pytest_cache .hypothesis
	@rm -f media/_engine*.so
