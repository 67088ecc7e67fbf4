# make            build, lint and test
# make demo       the whole system on real bars, no set-up
# make help       what else there is
#
# Building and testing need Go and nothing else; linters are installed into
# .bin at pinned versions the first time that they are wanted.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := all
MAKEFLAGS += --no-print-directory

GO ?= go
BIN := $(CURDIR)/.bin

GOLANGCI_VERSION := v2.15.0
GOVULNCHECK_VERSION := v1.9.0
BUF_VERSION := v1.75.0
BENCHSTAT_VERSION := v0.0.0-20260908200009-22c9c6c9d4da

GOLANGCI := $(BIN)/golangci-lint-$(GOLANGCI_VERSION)
GOVULNCHECK := $(BIN)/govulncheck-$(GOVULNCHECK_VERSION)
BUF := $(BIN)/buf-$(BUF_VERSION)
BENCHSTAT := $(BIN)/benchstat-$(BENCHSTAT_VERSION)

# Where goroutines meet: these packages are tested with the race detector.
# It needs a C compiler; without one they are tested without it, and that is said.
CONCURRENT := ./pkg/... ./internal/cli/... ./test/...
RACE := $(shell [ "$$($(GO) env CGO_ENABLED)" = 1 ] && command -v $$($(GO) env CC) >/dev/null && echo -race)

FUZZINPUTS ?= 100000
# For one package: the suites of a transport take minutes on two busy cores.
TEST_TIMEOUT ?= 30m
# For each half of make chaos: together about half an hour on two quiet cores.
CHAOS_TIMEOUT ?= 45m
SEEDS ?= 200000
BENCH ?= .
# Runs of each benchmark of make ways: benchstat needs six for an interval.
COUNT ?= 6

.PHONY: all help
all: build lint test ## build, lint and test (the default)

help: ## this list
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: build demo demo-kafka bench ways growth
build: ## the commands, as static binaries in this directory
	CGO_ENABLED=0 $(GO) build -trimpath -buildvcs=false -o . ./cmd/...

demo: ## real bars through the whole system on an embedded broker, with a proof at the end
	$(GO) run ./examples/go/demo

demo-kafka: ## the same on a stand-in for Kafka; BUS=kafka://host:port plays it on a real one
	$(GO) run ./examples/go/demo $(if $(BUS),--bus $(BUS),--embedded kafka)

bench: ## the benchmarks of every package (BENCH=regexp selects)
	$(GO) test -run '^$$' -bench '$(BENCH)' -benchmem ./...

# The ways take turns, so that a machine that grows slower is unfair to none.
WAYS := ^Benchmark(NewID|EncodeHeaders|DecodeHeaders|Validate|Dedupe|PublishPath|ConsumePath|Message|HeaderMap|PubAck|Window)$$
ways: $(BENCHSTAT) ## what the bus costs a message beside the naive way, as a table (COUNT=6 runs)
	@mkdir -p build/ways && rm -f build/ways/*
	@for p in pkg/ampybus internal/keyed internal/recent pkg/ampybus/natsbinding; do $(GO) test -c -o build/ways/$${p##*/}.test ./$$p; done
	@for i in $$(seq $(COUNT)); do for t in build/ways/*.test; do \
		$$t -test.run '^$$' -test.bench '$(WAYS)' -test.benchtime 100ms; done; done > build/ways/runs.txt
	@$(BENCHSTAT) -ignore pkg -col /way -filter '.unit:(cpu-sec/op OR cpu-sec/msg OR allocs/op OR allocs/msg)' build/ways/runs.txt

growth: ## what messaging costs as keys, lag, groups … grow (SWEEP=keys,lag selects); needs 10 GB for lag
	$(GO) run ./internal/bench/growth -sweep '$(SWEEP)' -save growth.json

.PHONY: test chaos sim mutants fuzz cover
test: ## vet and every test, offline, no Docker; with the race detector where goroutines meet
	@[ -n "$(RACE)" ] || echo "no C compiler: testing without the race detector"
	$(GO) vet -tags chaos ./...
	@( code=0; \
	$(GO) test -timeout $(TEST_TIMEOUT) -json $$($(GO) list ./... | grep -vxFf <($(GO) list $(CONCURRENT))) || code=1; \
	$(GO) test -timeout $(TEST_TIMEOUT) -json $(RACE) $(CONCURRENT) || code=1; \
	exit $$code ) | $(GO) run ./tools/testsummary

# Both halves run, also when the first fails. SEED=n replays a failed scenario.
chaos: ## the full loads of test/delivery, then processes killed and stopped; figures go to docs/testing.md
	@code=0; \
	AMPY_FULL=1 $(GO) test -count=1 -timeout $(CHAOS_TIMEOUT) -v ./test/delivery || code=1; \
	$(GO) test -count=1 -timeout $(CHAOS_TIMEOUT) -v -tags chaos ./test/chaos -figures ../../docs/testing.md || code=1; \
	exit $$code

sim: ## simulate the key-ordered core on SEEDS=200000 random worlds
	$(GO) test -count=1 -timeout 30m -run Simulation -v ./internal/keyed -seeds $(SEEDS)

mutants: ## break the code in every named way and see the named test fail
	tools/mutants.sh

fuzz: ## every fuzz target on FUZZINPUTS=100000 inputs each
	tools/fuzz.sh $(FUZZINPUTS)

cover: ## coverage of the library, as coverage.html
	$(GO) test -coverpkg=./pkg/...,./internal/... -coverprofile=coverage.out ./...
	$(GO) tool cover -html=coverage.out -o coverage.html
	$(GO) tool cover -func=coverage.out | tail -1

.PHONY: generate golden
generate: $(BUF) build/ampy-proto ## the control schema's Go code (buf) and contract/*.json
	$(BUF) lint proto
	$(BUF) generate proto
	$(GO) run ./internal/contractgen

golden: ## rewrite golden files from the code; review the difference
	$(GO) test $$(git ls-files -co --exclude-standard '*_test.go' | xargs grep -lE 'flag\.Bool\("update"' | xargs -n1 dirname | sort -u | sed 's|^|./|') -update

# ampy-proto's .proto files are not copied into this repository: they are read
# from the module cache, at the version that go.mod names.
build/ampy-proto: go.mod
	mkdir -p build
	ln -sfn "$$($(GO) list -m -f '{{.Dir}}' github.com/AmpyFin/ampy-proto/v2)/proto" $@

.PHONY: lint vuln tools clean
lint: $(GOLANGCI) ## golangci-lint with the explicit list of .golangci.yml, formatting included
	$(GOLANGCI) run ./...

# The database of vulnerabilities is fetched from vuln.go.dev, or from GOVULNDB.
vuln: $(GOVULNCHECK) ## known vulnerabilities in what the code really calls
	$(GOVULNCHECK) ./...

tools: $(GOLANGCI) $(GOVULNCHECK) $(BUF) $(BENCHSTAT) ## install the pinned tools into .bin

clean: ## remove what make made, the tools included
	rm -rf $(BIN) build coverage.out coverage.html
	rm -f $(notdir $(wildcard cmd/*))

# install builds command $(1) at version $(2) and puts the version in the file's
# name, so that a new version in this file is a new file in .bin.
define install
	GOBIN=$(BIN) $(GO) install $(1)@$(2)
	mv $(BIN)/$(notdir $(1)) $@
endef

$(GOLANGCI):
	$(call install,github.com/golangci/golangci-lint/v2/cmd/golangci-lint,$(GOLANGCI_VERSION))
$(GOVULNCHECK):
	$(call install,golang.org/x/vuln/cmd/govulncheck,$(GOVULNCHECK_VERSION))
$(BENCHSTAT):
	$(call install,golang.org/x/perf/cmd/benchstat,$(BENCHSTAT_VERSION))
$(BUF):
	$(call install,github.com/bufbuild/buf/cmd/buf,$(BUF_VERSION))
