# Two commands are all it takes: `make run` and `make test`. docs/building.md tells the rest.
#
# Every step leaves a file behind (a stamp where it has no better one), so make knows from the
# sources what is left to do, and a second run with nothing changed does nothing.

include tools/versions.env

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
MAKEFLAGS += --no-builtin-rules --no-print-directory
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.NOTPARALLEL:
.PHONY: help run dev test bench check build clean fuzz

WASM_BINDGEN := $(shell awk '/^name = "wasm-bindgen"$$/ { getline; gsub(/[^0-9.]/, ""); print; exit }' Cargo.lock)
TOOLS := target/tools
BINDGEN := $(TOOLS)/wasm-bindgen-$(WASM_BINDGEN)/bin/wasm-bindgen
LEPTOS := $(TOOLS)/cargo-leptos-$(CARGO_LEPTOS)/bin/cargo-leptos
STAMPS := target/stamps

SERVER := target/release/breezeway
WASM_BUILT := target/front/wasm32-unknown-unknown/wasm-release/breezeway.wasm
# A copy: what cargo-leptos builds goes where cargo put this, and has no link-time optimisation.
WASM := target/wasm/breezeway.wasm
# Inside the site, so that whoever empties the site (cargo leptos does) also undoes this step.
SITE := target/site/.shipped

SSR := --no-default-features --features ssr
HYDRATE := --lib --no-default-features --features hydrate --target wasm32-unknown-unknown

RUST_FILES := $(shell find src migrations -type f 2>/dev/null) Cargo.toml Cargo.lock rust-toolchain.toml
SITE_FILES := $(shell find style public -type f 2>/dev/null) tools/ship.mjs

STEPS := $(if $(filter test,$(MAKECMDGOALS)),12,6)
# A comma inside an argument of call.
, := ,
step = @printf '\n[%s/%s] %s\n' '$(1)' '$(STEPS)' '$(2)'

export PATH := $(HOME)/.cargo/bin:$(PATH)
# What browsers download does not tell where it was built.
export CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUSTFLAGS := --remap-path-prefix=$(or $(CARGO_HOME),$(HOME)/.cargo)/registry/src=crates --remap-path-prefix=$(CURDIR)=breezeway

# Which Rust to use is settled before anything else; these two goals can do without.
ifneq ($(filter-out help clean,$(or $(MAKECMDGOALS),help)),)
include target/toolchain.mk
endif

help: ## list the targets (default)
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-7s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

run: build ## install what is missing, build, start, print the address (ARGS="--config FILE")
	@exec $(SERVER) serve $(ARGS)

dev: target/toolchain.mk $(BINDGEN) $(LEPTOS) $(STAMPS)/npm ## rebuild and reload on every change (cargo leptos watch)
	@# Not hashed: a rebuild while watching replaces files without renaming them.
	@PATH="$(CURDIR)/$(dir $(LEPTOS)):$(CURDIR)/$(dir $(BINDGEN)):$(CURDIR)/tools/node_modules/.bin:$$PATH" \
	  LEPTOS_HASH_FILES=false cargo leptos watch -- serve $(ARGS)

test: build $(STAMPS)/npm-test ## everything that must hold: format, lints, tests, browser tests, a little fuzzing
	$(call step,8,Checking format and lints)
	@$(MAKE) check
	$(call step,9,Running the tests of the server on SQLite)
	@# Many of them wait for a token to end, so more run at once than there are cores.
	@RUST_TEST_THREADS=8 cargo test $(SSR)
	$(call step,10,Running the tests of the server on PostgreSQL)
	@RUST_TEST_THREADS=8 tools/postgres.sh cargo test $(SSR)
	$(call step,11,Running the browser tests)
	@cd end2end && BREEZEWAY_BIN=$(CURDIR)/$(SERVER) node_modules/.bin/playwright test $(ARGS)
	$(call step,12,Fuzzing what reads bytes from outside)
	@tools/fuzz.sh $(or $(FUZZ),20)

fuzz: target/toolchain.mk ## fuzz for FUZZ seconds each (60)
	@tools/fuzz.sh $(or $(FUZZ),60)

bench: build ## measure what docs and budgets claim (BENCH=gateway for one, HARNESS=folder TARGETS=nginx)
ifdef HARNESS
	@benches/gateway/run.sh $(HARNESS) $(TARGETS)
endif
	@cargo bench $(SSR) --bench '$(or $(BENCH),*)'

check: target/toolchain.mk ## rustfmt and clippy, both halves
	@# The fuzz targets have a lock file of their own, which goes stale with every new dependency.
	@cargo metadata --locked --format-version 1 --manifest-path fuzz/Cargo.toml >/dev/null
ifdef NO_LINTERS
	@echo "Skipped: Debian's Rust, in use because rustup could not fetch its own, has no rustfmt and clippy."
else
	@cargo fmt --check
	@cargo clippy $(SSR) --all-targets -- -D warnings
	@cargo clippy $(HYDRATE) --target-dir target/front -- -D warnings
endif

build: $(STAMPS)/npm $(BINDGEN) $(WASM) $(STAMPS)/server $(SITE) ## build both halves and the site, as run does

clean: ## remove what was built; keeps installed tools and data/
	@[ ! -d target ] || find target -mindepth 1 -maxdepth 1 ! -name tools -exec rm -rf {} +

# --- The steps ----------------------------------------------------------------------------------

target/toolchain.mk: rust-toolchain.toml tools/toolchain.sh
	$(call step,1,Looking for Rust$(,) Node and a C compiler)
	@mkdir -p $(STAMPS)
	@tools/toolchain.sh $@

$(STAMPS)/npm: tools/versions.env tools/npm.sh
	$(call step,2,Installing wasm-opt$(,) Lightning CSS and terser)
	@tools/npm.sh tools binaryen@$(BINARYEN) lightningcss@$(LIGHTNINGCSS) terser@$(TERSER)
	@touch $@

$(BINDGEN):
	$(call step,3,Installing wasm-bindgen $(WASM_BINDGEN) (one to three minutes$(,) once))
	@tools/cargo-tool.sh wasm-bindgen wasm-bindgen-cli $(WASM_BINDGEN) $(TOOLS)/wasm-bindgen-$(WASM_BINDGEN)

$(WASM): $(RUST_FILES) target/toolchain.mk
	$(call step,4,Building the browser half)
	@# One crate type only: cargo ignores `lto` for a crate that is also an rlib.
	@cargo rustc $(HYDRATE) --crate-type cdylib --profile wasm-release --target-dir target/front
	@mkdir -p $(@D)
	@cp $(WASM_BUILT) $@

$(STAMPS)/server: $(RUST_FILES) target/toolchain.mk
	$(call step,5,Building the server)
	@cargo build --release $(SSR)
	@touch $@

$(SITE): $(WASM) $(BINDGEN) $(STAMPS)/npm $(SITE_FILES)
	$(call step,6,Packing what browsers download)
	@node tools/ship.mjs $(WASM) $(BINDGEN)
	@touch $@

$(STAMPS)/npm-test: tools/versions.env tools/npm.sh tools/chromium.sh tools/python.sh end2end/drf/requirements.txt
	$(call step,7,Installing Chromium$(,) Playwright and what the tests speak with)
	@tools/chromium.sh
	@tools/python.sh $(TOOLS)/python
	@tools/npm.sh end2end @playwright/test@$(PLAYWRIGHT) oidc-provider@$(OIDC_PROVIDER) deep-chat@$(DEEP_CHAT) @axe-core/playwright@$(AXE)
	@touch $@

# --- Installed on demand ------------------------------------------------------------------------

$(LEPTOS):
	@echo "Installing cargo-leptos $(CARGO_LEPTOS) (three to six minutes, once)"
	@tools/cargo-tool.sh cargo-leptos cargo-leptos $(CARGO_LEPTOS) $(TOOLS)/cargo-leptos-$(CARGO_LEPTOS) --locked --features no_downloads
