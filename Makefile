# Targets for a checkout. They need Rust (rustup installs the right version), a C compiler and, once, Go to build the control
# plane and the tools that the demo and the tests run on. They need no Docker and no cluster.

CARGO ?= cargo
SHELL := /bin/sh
.DEFAULT_GOAL := help
.PHONY: help demo test test-fast lint fmt bench explore soak replay crash mutants mutants-fit fuzz generate book image plugin krew reproducible sbom charts release-check release-notes publish test-deploy monitoring observability oldest control-plane age clean rust

# End-to-end tests wait for most of their time, so there are two for each core.
THREADS = $$((2 * $$(getconf _NPROCESSORS_ONLN)))

say = @printf '\n==> %s\n' >&2

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@printf '\n  ONCE=1 make demo   shows the demo and ends, instead of leaving everything running\n'

demo: control-plane ## a control plane, a simulated tenant and the operator: the whole life of a pass
	$(say) 'building the operator, the simulated tenant and the demo (the first time takes minutes)'
	@$(CARGO) build --locked --bin tap-operator --bin kubectl-tap --example demo
	$(say) 'starting the demo'
	@$(CARGO) run --quiet --locked --example demo -- $(if $(ONCE),--once)

test: control-plane age ## all tests, from the pure core to the operator on a real control plane
	$(say) 'building and running all tests'
	@RUST_TEST_THREADS=$${RUST_TEST_THREADS:-$(THREADS)} $(CARGO) test --locked

test-fast: rust ## the tests that need no control plane (and no Go)
	$(say) 'building and running the tests of the library and the programs'
	@$(CARGO) test --locked --lib --bins

mutants: control-plane age ## seeded faults, each of which a named test must detect (ONLY='recovery/*' for some of them)
	$(say) 'seeding faults into copies of the checkout, and expecting tests to fail (this takes about an hour)'
	@CARGO=$(CARGO) tests/mutants/run '$(or $(ONLY),*)'

mutants-fit: rust ## check that the seeded faults still apply to the code, and that the tests named for them exist
	$(say) 'checking that the seeded faults fit'
	@$(CARGO) test --quiet --locked --test mutants -- --ignored

lint: rust ## format and clippy, which CI checks before the tests
	$(say) 'checking the format'
	@$(CARGO) fmt --check
	$(say) 'running clippy'
	@$(CARGO) clippy --locked --all-targets -- --deny warnings

fmt: rust ## format the code
	$(say) 'formatting'
	@$(CARGO) fmt

bench: control-plane ## compare the operator's speed with a program that does the same without checks (PASSES=200 for more); LIVE=0,1000,10000: how it changes with live requests; FLOOD=500: what a flood does to others; EVIDENCE=1: what notices, logs and Conditional Access do
	$(say) 'building (with optimizations) and running the benchmarks'
	@TAP_OPERATOR=$$(deploy/release/program tap-operator) && export TAP_OPERATOR && $(CARGO) bench --locked --profile benchmark

explore: rust ## check the promises in every state that requests can reach (ONLY='two requests' for scenarios of that name)
	$(say) 'building (with optimizations) and exploring; it takes minutes'
	@ONLY="$(ONLY)" $(CARGO) test --locked --profile benchmark --test explore -- --include-ignored --nocapture --test-threads 1

soak: rust ## random plans of what people do and what fails: PLANS=1000 from SEED=0 on; prints a table and each failing plan
	$(say) 'building (with optimizations) and running plans'
	@$(CARGO) test --quiet --locked --profile benchmark --test simulation -- --ignored --exact soak --nocapture

replay: rust ## the plan of SEED=..., with all that happens (LOG=1: with the operator's log)
	@$(CARGO) test --quiet --locked --test simulation -- --ignored --exact replay --nocapture

crash: control-plane age ## kill the operator at every effect; outages, two replicas (ONLY=quota for one workflow)
	$(say) 'building the operator and killing it repeatedly: this takes about a quarter of an hour'
	@ONLY='$(ONLY)' $(CARGO) test --locked --test crash -- --ignored --nocapture --test-threads=1

fuzz: rust ## hostile input for everything that reads, a minute for each kind (SECONDS=600 for longer)
	$(say) 'fuzzing'
	@fuzz/run $(or $(SECONDS),60)

generate: rust ## write what is made from other files: crds/, the charts' copies and values, pages of docs/reference
	$(say) 'writing crds/, parts of deploy/helm and of docs/reference'
	@TAP_OPERATOR_GENERATE=1 $(CARGO) test --quiet --locked --test generated what_is_generated

book: rust ## the documentation as a book below target/book
	$(say) 'making the book'
	@docs/book

image: rust ## the image as an OCI archive below target/image, without a container engine
	$(say) 'building the static program (with optimizations), and the image around it'
	@deploy/image/archive

plugin: rust ## kubectl-tap for this platform, packaged below target/plugin
	$(say) 'building the static program (with optimizations), and packaging it'
	@deploy/release/plugin

krew: ## the manifest with which krew installs the packages below target/plugin
	@deploy/release/krew

reproducible: rust ## the image twice, in two places: both must be the same to the last bit
	$(say) 'building the image twice (with optimizations)'
	@deploy/release/reproducible

sbom: rust ## the software bill of materials of the program, checked against Cargo.lock
	$(say) 'writing the bill of materials'
	@deploy/release/sbom

charts: ## the charts as packages below target/charts
	@deploy/release/charts

release-check: ## check that program, charts and kustomization have one version (TAG=v0.1.0: that of the tag, with an entry in the changelog)
	@deploy/release/check $(TAG)

release-notes: ## what the changelog says about TAG=v0.1.0
	@deploy/release/notes $(TAG)

publish: ## push images and charts to REGISTRY=ghcr.io/tap-operator, and print their digests
	@deploy/release/publish $(REGISTRY)

test-deploy: control-plane monitoring ## what users install: image, charts with real Helm, alert rules, workflows, examples, commands of the documentation
	$(say) 'looking for helm, actionlint and the interpreters of GitOps tools, and building the image'
	@tests/helm/build
	@tests/actionlint/build
	@tests/gitops/build
	@deploy/image/archive
	$(say) 'building and running the tests of what is installed'
	@$(CARGO) test --locked --test deploy -- --ignored

monitoring: rust ## alert rules, metrics, dashboard and runbook, with the real promtool
	$(say) 'looking for promtool'
	@tests/prometheus/build promtool
	$(say) 'testing the alert rules, and what they ask for'
	@$(CARGO) test --locked --test monitoring -- --include-ignored

observability: control-plane ## the operator under a real Prometheus: each alert fires and resolves; and kube-state-metrics
	$(say) 'looking for Prometheus and kube-state-metrics'
	@tests/prometheus/build prometheus
	@tests/kube-state-metrics/build
	$(say) 'provoking each alert: this takes about ten minutes'
	@$(CARGO) test --locked --test observability -- --ignored --nocapture --test-threads=1

oldest: control-plane ## the tests of older servers, on a real API server of the oldest supported Kubernetes
	$(say) 'looking for the oldest API server'
	@tests/oldest-api-server/build
	$(say) 'building and running the tests of older servers'
	@OLDEST_API_SERVER="$$(tests/oldest-api-server/build)/kube-apiserver" \
		$(CARGO) test --locked --test admission --test e2e -- older_server

control-plane: rust ## etcd, kube-apiserver, kube-controller-manager and kubectl: built once, then cached
	$(say) 'looking for the control plane'
	@tests/control-plane/build

age: rust ## the tool age, with which tests decrypt sealed passes: built once, then cached
	$(say) 'looking for age'
	@tests/age/build

clean: ## remove target/ (the caches outside of the checkout stay)
	$(say) 'removing target/'
	@$(CARGO) clean

rust:
	@command -v $(CARGO) >/dev/null || { echo 'cargo is missing. Install Rust from https://rustup.rs/' >&2; exit 1; }
	@command -v cc >/dev/null || command -v gcc >/dev/null || command -v clang >/dev/null || \
		{ echo 'a C compiler is missing (aws-lc needs one). Install gcc or clang, for example the package build-essential' >&2; exit 1; }
