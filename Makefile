# What one does with a checkout. Needed: Rust (rustup brings the right version), a C compiler, and, once, Go
# to build the control plane and the tools that demo and tests run on. No Docker, no cluster.

CARGO ?= cargo
SHELL := /bin/sh
.DEFAULT_GOAL := help
.PHONY: help demo test test-fast lint fmt bench explore soak replay crash mutants fuzz crds control-plane age clean rust

say = @printf '\n==> %s\n' >&2

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@printf '\n  ONCE=1 make demo   shows the demo and ends, instead of leaving everything running to play with\n'

demo: control-plane ## a control plane, a simulated tenant and the operator: the whole life of a pass
	$(say) 'building the operator, the simulated tenant and the demo (the first time takes minutes)'
	@$(CARGO) build --locked --all-features --bin tap-operator --example demo
	$(say) 'starting the demo'
	@$(CARGO) run --quiet --locked --all-features --example demo -- $(if $(ONCE),--once)

test: control-plane age ## all tests, from the pure core to the operator on a real control plane
	$(say) 'building and running all tests'
	@$(CARGO) test --locked --all-features

test-fast: rust ## the tests that need no control plane (and no Go)
	$(say) 'building and running the tests of the library and the programs'
	@$(CARGO) test --locked --all-features --lib --bins

mutants: control-plane age ## seeded faults, each of which a named test must see (ONLY='recovery/*' for some of them)
	$(say) 'seeding faults into a copy of the checkout, and expecting tests to fail (this takes about half an hour)'
	@CARGO=$(CARGO) tests/mutants/run '$(or $(ONLY),*)'

lint: rust ## what CI checks before it tests: format and clippy
	$(say) 'checking the format'
	@$(CARGO) fmt --check
	$(say) 'running clippy'
	@$(CARGO) clippy --locked --all-features --all-targets -- --deny warnings

fmt: rust ## format the code
	$(say) 'formatting'
	@$(CARGO) fmt

bench: control-plane ## the operator's speed beside a program that does the same without checks (PASSES=200 for more)
	$(say) 'building (with optimizations) and running the benchmarks'
	@$(CARGO) bench --locked --all-features --profile benchmark

explore: rust ## every state that the life of a request can come to, ONLY='two requests' of those so named: the promises in each
	$(say) 'building (with optimizations) and exploring; it takes minutes'
	@ONLY="$(ONLY)" $(CARGO) test --locked --all-features --profile benchmark --test explore -- --include-ignored --nocapture --test-threads 1

soak: rust ## random plans of what people do and what goes wrong, PLANS=1000 from SEED=0 on: a table, and each that fails
	$(say) 'building (with optimizations) and running plans'
	@$(CARGO) test --quiet --locked --all-features --profile benchmark --test simulation -- --ignored --exact soak --nocapture

replay: rust ## one plan of SEED=..., with all that happens (LOG=1: with the operator's log)
	@$(CARGO) test --quiet --locked --all-features --test simulation -- --ignored --exact replay --nocapture

crash: control-plane age ## the operator killed at every effect, outages, two replicas (ONLY=quota for one workflow)
	$(say) 'building the operator and killing it again and again: this takes about a quarter of an hour'
	@ONLY='$(ONLY)' $(CARGO) test --locked --all-features --test crash -- --ignored --nocapture --test-threads=1

fuzz: rust ## hostile input for everything that reads, each kind for a minute (SECONDS=600 for longer)
	$(say) 'fuzzing'
	@fuzz/run $(or $(SECONDS),60)

crds: rust ## write crds/*.yaml from the Rust types
	$(say) 'writing the custom resource definitions into crds/'
	@$(CARGO) run --quiet --locked -- crds --output-dir crds

control-plane: rust ## etcd, kube-apiserver, kube-controller-manager and kubectl: built once, then cached
	$(say) 'looking for the control plane'
	@tests/control-plane/build

age: rust ## the tool age, with which tests open sealed passes: built once, then cached
	$(say) 'looking for age'
	@tests/age/build

clean: ## remove what was built here (what is cached stays: it is outside the checkout)
	$(say) 'removing target/'
	@$(CARGO) clean

rust:
	@command -v $(CARGO) >/dev/null || { echo 'cargo is missing. Install Rust from https://rustup.rs/' >&2; exit 1; }
	@command -v cc >/dev/null || command -v gcc >/dev/null || command -v clang >/dev/null || \
		{ echo 'a C compiler is missing (aws-lc needs one). Install gcc or clang, such as the package build-essential or gcc' >&2; exit 1; }
