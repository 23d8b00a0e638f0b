# The commands of the project; each is a thin call of a script in tools/, a CMake preset or both. No rule here compiles.
# MLX_SERVING_BACKEND = cpu | cuda13 | metal picks the virtual environment and the build folder.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.SUFFIXES:
MAKEFLAGS += --no-builtin-rules --no-print-directory

# rustup's place comes first, as its own installer would have it in the next shell.
export PATH := $(HOME)/.cargo/bin:$(PATH)
export MLX_SERVING_BACKEND ?= $(if $(filter Darwin,$(shell uname -s)),metal,cpu)
suffix := $(if $(filter-out cpu,$(MLX_SERVING_BACKEND)),-$(MLX_SERVING_BACKEND))
build_dir := build/release$(suffix)
binary := $(build_dir)/mlx-serving
python := .venv$(suffix)/bin/python

# ARGS is passed on: make serve ARGS="model.gguf --port 8000", make bench ARGS="--gen 64".
ARGS ?=

.PHONY: help
help: ## this list
	@awk -F ':.*## ' '/^[a-z -]+:.*## /{printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo "  MLX_SERVING_BACKEND=$(MLX_SERVING_BACKEND) (cpu, cuda13, metal); serve and bench take ARGS=\"...\""

.PHONY: setup
setup: ## system packages, .venv with the pinned MLX, the default model
	@tools/setup all

.PHONY: build
build: setup ## set up and build build/release
	@tools/build release

.PHONY: demo
demo: build ## serve the default model and ask it one question
	@$(python) tools/demo $(binary)

.PHONY: serve
serve: build ## serve a model at 127.0.0.1:8080
	@exec $(binary) serve $(ARGS)

.PHONY: bench bench-peers
bench: build test-tools ## the standard set beside the peers, into bench/results and docs/PERFORMANCE.md; with ARGS: one bench
	@$(if $(ARGS),exec $(binary) bench $(ARGS),tools/bench_all $(binary) .venv-test/bin/python)

bench-peers: ## install the peers of make bench, once
	@tools/bench_peers

.PHONY: bench-http
bench-http: setup ## the HTTP doors under load without a model, at full size (15 minutes)
	@tools/build release
	@cmake --build $(build_dir) --target null_server http_load
	@python3 bench/http/run.py --build $(build_dir) $(ARGS)

.PHONY: python
python: build ## the Python package, into .venv-python
	@tools/setup python-venv
	@.venv-python/bin/python -m pip --disable-pip-version-check -q install --no-build-isolation --no-deps .
	@touch .venv-python/.mlx-serving-package

.PHONY: node
node: build ## the Node package, in bindings/node
	@npm --prefix bindings/node ci --no-audit --no-fund --loglevel=error

.PHONY: test-tools
test-tools:
	@tools/setup test-venv node-clients

.PHONY: test
test: build test-tools ## every test that needs no accelerator
	@tools/run_tests $(build_dir)

.PHONY: format
format: lint-tools ## format the files that changed
	@tools/format

.PHONY: lint-tools
lint-tools:
	@tools/setup rust packages toolchain venv lint-packages test-venv
	@tools/build release --configure-only

.PHONY: lint lint-all
lint: lint-tools ## format, style, licences, clang-tidy on the files that changed
	@tools/lint

lint-all: lint-tools ## the same on every file, and clippy
	@tools/lint --all

.PHONY: asan tsan
asan tsan: setup ## the tests without MLX under the address (undefined) or thread sanitizer
	@tools/build $@
	@tools/run_tests build/$@ --suites cpp

.PHONY: asan-mlx
asan-mlx: setup ## the tests with MLX under the address sanitizer (libmlx itself is not instrumented)
	@tools/build $@
	@tools/run_tests build/$@ --suites cpp

.PHONY: fuzz
fuzz: setup ## each fuzz target for FUZZ_SECONDS (60)
	@tools/setup fuzz-packages
	@tools/build fuzz
	@tools/fuzz build/fuzz

.PHONY: check-full
check-full: ## what is too long for each commit: lint-all, asan, asan-mlx, tsan, fuzz, full-size suites
	@tools/check_full

.PHONY: docs
docs: ## the documentation site in build/site; fails on a broken link
	@tools/setup docs-venv
	@.venv-docs/bin/mkdocs build --quiet --strict

.PHONY: golden
golden: setup ## make the golden data anew from the references
	@tools/setup golden-venv
	@.venv-golden/bin/python tools/make_golden.py $(ARGS)

.PHONY: clean
clean: ## remove what was built (not the virtual environments and models)
	@rm -rf build rust/text_ffi/target
