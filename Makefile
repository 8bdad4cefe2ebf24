# Modules come from go.work and services from services/*; nothing is listed here twice.
SHELL       := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

STATE   := .agentbus
TOOLS   := $(CURDIR)/bin/tools
VERSION := $(shell git describe --tags --always --dirty 2>/dev/null || echo devel)
LDFLAGS := -s -w -X agentbus/pkg/service.version=$(VERSION)
# Directories of the modules, relative, one per use line of go.work.
MODULES  = $(shell go list -m -f '{{.Dir}}' | sed 's|^$(CURDIR)/||')
# What has a main package of its own to ship.
PROGRAMS = $(wildcard services/*) deploy/agentctl

# Kept in one place so that a laptop and CI judge by the same rules.
GOLANGCI_LINT_VERSION := v2.15.0
GOLANGCI_LINT         := $(TOOLS)/golangci-lint-$(GOLANGCI_LINT_VERSION)

ACTIONLINT_VERSION    := v1.7.12
ACTIONLINT            := $(TOOLS)/actionlint-$(ACTIONLINT_VERSION)

# Versions stand in deploy/api/package-lock.json. npm writes this file last.
API_TOOLS             := $(TOOLS)/api/node_modules/.package-lock.json

.PHONY: help
help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' Makefile

.PHONY: demo
demo: deps build ## run one workflow through all services, show what the consumers recorded, stop everything
	@bin/agentctl demo

.PHONY: up
up: deps build ## start Redis, PostgreSQL and all services and stay; Ctrl-C drains and stops them
	@bin/agentctl up

# -count=1: Go would answer from its cache although the programs that the end-to-end tests run have changed.
.PHONY: test
test: ## run all tests of all modules with the race detector, against servers they start themselves
	@deploy/install-deps.sh --for-tests
	@$(MAKE) --no-print-directory build
	@if AGENTBUS_BIN=$(CURDIR)/bin go test -race -count=1 -timeout 15m work; then echo "PASS: all tests of all modules"; \
	else echo "FAIL: see the lines with FAIL above"; exit 1; fi

# make test runs the quick half of it. The table comes by a file: go test keeps to itself what passing tests print.
.PHONY: chaos
chaos: ## break everything under load, all of deploy/chaos, and print the table of faults; up to 20 min
	@deploy/install-deps.sh --for-tests
	@$(MAKE) --no-print-directory build
	@mkdir -p $(STATE); rm -f $(STATE)/chaos.txt; \
	code=0; CHAOS=full CHAOS_TABLE=$(CURDIR)/$(STATE)/chaos.txt AGENTBUS_BIN=$(CURDIR)/bin \
		go test -race -count=1 -timeout 30m ./deploy/chaos/... || code=$$?; \
	if [ -e $(STATE)/chaos.txt ]; then cat $(STATE)/chaos.txt; fi; \
	if [ $$code = 0 ]; then echo "PASS: the books balance under every fault"; else echo "FAIL: see the lines with FAIL above"; exit 1; fi

# What it needs of the release stands in deploy/cluster/doc.go.
.PHONY: cluster-test
cluster-test: ## break an installed release, RELEASE in NAMESPACE, under load: roll-outs, drain, lost pods, scaling
	@go test -tags cluster -count=1 -v -timeout 60m $(if $(RUN),-run '$(RUN)') ./deploy/cluster

# The same tests that look at every view in make test, and leave their pictures.
.PHONY: screenshots
screenshots: ## pictures of each view of the live page, light and dark, wide and narrow, into .agentbus/screenshots
	@deploy/install-deps.sh --dev
	@$(MAKE) --no-print-directory build
	@rm -rf $(STATE)/screenshots; \
	SCREENSHOTS=$(CURDIR)/$(STATE)/screenshots AGENTBUS_BIN=$(CURDIR)/bin go test -count=1 -timeout 5m -run 'TestEveryViewFits|TestSignIn' ./deploy/browser
	@echo "pictures in $(STATE)/screenshots"

# BENCH_ARGS=--brief says that it runs, and no figures; CI does that.
BENCH_ARGS ?=
.PHONY: bench
bench: ## measure everything on this machine, beside others on the same work: about 7 min
	@deploy/install-deps.sh --for-tests
	@$(MAKE) --no-print-directory build bin/tools/bench
	@bin/tools/bench $(BENCH_ARGS)

.PHONY: bin/tools/bench
bin/tools/bench:
	@mkdir -p $(TOOLS)
	@go build -trimpath -o $(TOOLS)/bench ./deploy/bench

.PHONY: build
build: ## build every service and agentctl into bin/
	@mkdir -p bin
	@CGO_ENABLED=0 go build -trimpath -ldflags '$(LDFLAGS)' -o bin/ $(PROGRAMS:%=./%)

# With docker or buildah, whichever is there. An engine without a way out gets what it needs by IMAGE_ARGS.
IMAGE_PREFIX ?= localhost/agentbus
IMAGE_TAG    ?= $(VERSION)
IMAGES       ?= $(notdir $(PROGRAMS))
# Agents whose built-in tools run Go.
TOOLCHAIN    := audit-agent testing-agent deployment-agent

.PHONY: images
images: ## build the image of each service and of agentctl, IMAGE_PREFIX/<name>:IMAGE_TAG
	@if docker info >/dev/null 2>&1; then build="docker build"; \
	elif command -v buildah >/dev/null; then build="buildah bud --layers"; \
	else echo "neither a running docker nor buildah is here; on Debian: apt-get install buildah"; exit 1; fi; \
	for name in $(IMAGES); do \
		case " $(TOOLCHAIN) " in *" $$name "*) target=toolchain ;; *) target=static ;; esac; \
		echo "building $(IMAGE_PREFIX)/$$name:$(IMAGE_TAG)"; \
		$$build -q -f deploy/Dockerfile --target $$target --build-arg SERVICE=$$name --build-arg VERSION=$(VERSION) \
			-t $(IMAGE_PREFIX)/$$name:$(IMAGE_TAG) $(IMAGE_ARGS) . >/dev/null; \
	done

# For the workflows: what make images builds, as a matrix.
.PHONY: image-list
image-list:
	@names='$(IMAGES)'; for name in $$names; do \
		case " $(TOOLCHAIN) " in *" $$name "*) target=toolchain ;; *) target=static ;; esac; \
		printf '{"name":"%s","target":"%s"}\n' $$name $$target; \
	done | paste -sd, | sed 's/.*/[&]/'

.PHONY: fuzz
# Inputs, not seconds: Go now and then calls it a failure when the time ends in mid-input.
FUZZTIME ?= 100000x
fuzz: ## fuzz each fuzz target for FUZZTIME
	@grep -rn --include='*_test.go' -o '^func Fuzz[A-Za-z]*' $(MODULES) | sed 's|/[^/]*_test.go:.*func | |' | while read -r package target; do \
		echo "$$package $$target"; go test -run '^$$' -fuzz "^$$target$$" -fuzztime $(FUZZTIME) ./$$package || exit 1; \
	done

.PHONY: vulncheck
vulncheck: ## known vulnerabilities that the code can reach
	@for module in $(MODULES); do echo "$$module"; (cd $$module && go run golang.org/x/vuln/cmd/govulncheck@v1.9.0 ./...) || exit 1; done

.PHONY: workflows
workflows: $(ACTIONLINT) ## .github/workflows are what the service takes
	@$(ACTIONLINT)

# Tests keep the documents at what the services serve.
.PHONY: api-check
api-check: $(API_TOOLS) ## the OpenAPI and AsyncAPI documents are valid, by redocly and AsyncAPI's own parser
	@NODE_PATH=$(dir $(API_TOOLS)) node deploy/api/check.js $$(find services pkg -name openapi.json -o -name asyncapi.json)

.PHONY: check
check: fmt-check vet lint workflows api-check standalone tidy-check clean-check ## everything CI checks besides the tests

.PHONY: lint
lint: $(GOLANGCI_LINT) ## golangci-lint over all modules, rules in .golangci.yml
	@$(GOLANGCI_LINT) run $(MODULES:%=./%/...)

.PHONY: fmt
fmt: ## format all Go files
	@gofmt -w $(MODULES)

.PHONY: fmt-check
fmt-check:
	@unformatted=$$(gofmt -l $(MODULES)); \
	if [ -n "$$unformatted" ]; then echo "not formatted, run make fmt:"; echo "$$unformatted"; exit 1; fi

.PHONY: vet
vet:
	@go vet work

# A module must not lean on the workspace: each is built as somebody who depends on it alone would.
.PHONY: standalone
standalone: ## build and vet each module with GOWORK=off
	@for module in $(MODULES); do \
		(cd $$module && GOWORK=off go build -o /dev/null ./... && GOWORK=off go vet ./...) || { echo "$$module does not build with GOWORK=off"; exit 1; }; \
	done

# go mod tidy takes an import of a module of this repository, whose path has no domain, for one of the standard
# library: where go.mod does not know the module, it writes nothing and says nothing. So go.mod first gets what the
# code imports of this repository as requirements, and all of the repository as replacements while it is tidied.
# Twice, because a module's tidy may change what those that depend on it need.
.PHONY: tidy
tidy: ## bring all go.mod and go.sum in line with the code and with each other
	@for module in $(MODULES); do ( \
		cd $$module; \
		for path in $$(go list -e -deps -test -f '{{with .Module}}{{if .Main}}{{.Path}}{{end}}{{end}}' ./... | sort -u); do \
			[ $$path = agentbus/$$module ] || grep -q "[[:space:]]$$path v" go.mod || go mod edit -require=$$path@v0.0.0; \
		done; \
	); done; \
	ours=$$(go list -m); places=$$(go list -m -f '{{.Path}}=../../{{.Dir}}' | sed 's|$(CURDIR)/||'); \
	for round in 1 2; do \
		go work sync; \
		for module in $(MODULES); do ( \
			cd $$module; \
			go mod edit $$(printf -- '-replace=%s ' $$places); \
			GOWORK=off go mod tidy; \
			needed=$$(GOWORK=off go list -m all); \
			go mod edit $$(for path in $$ours; do grep -q "^$$path " <<<"$$needed" || printf -- '-dropreplace=%s ' $$path; done); \
		); done; \
	done
	@go list -m all >/dev/null # go.work.sum

# Makes $$copy, a copy of the checkout in which a check may do what it likes.
COPY := copy=$$(mktemp -d); trap 'rm -rf "$$copy"' EXIT; \
	$(MAKE) --no-print-directory -s copy TO=$$copy

.PHONY: tidy-check
tidy-check: ## go.mod and go.sum are as make tidy leaves them
	@$(COPY); \
	$(MAKE) --no-print-directory -s -C $$copy tidy; \
	for file in go.work $(MODULES:%=%/go.mod) $(MODULES:%=%/go.sum); do \
		if [ -e $$file ] || [ -e $$copy/$$file ]; then \
			diff -uN $$file $$copy/$$file || { echo "$$file is not tidy: run make tidy"; exit 1; }; \
		fi; \
	done

# All programs are built at the top at once, and put into the folder of each, where go build in it leaves them.
# Without symbols and the like, because that is half the time.
.PHONY: clean-check
clean-check: ## git status is clean after go list -m all, and go build at the top and in each program's folder
	@$(COPY); cd $$copy; git init -q -b main; git add -A; \
	go list -m all >/dev/null; \
	programs=$$(go list -f '{{if eq .Name "main"}}{{.Dir}}{{end}}' work); \
	CGO_ENABLED=0 go build -trimpath -buildvcs=false -ldflags '-s -w' -o . $$programs; \
	for program in $$programs; do cp $${program##*/} $$program; done; \
	left=$$(git diff --stat; git ls-files --others --exclude-standard); \
	if [ -n "$$left" ]; then echo "a clone does not stay clean: run make tidy, or see .gitignore"; echo "$$left"; exit 1; fi

# The checkout without what was built and the state of the local stack, into the folder TO.
.PHONY: copy
copy:
	@tar --exclude=./.git --exclude=./bin --exclude=./$(STATE) -cf - . | tar -xf - -C '$(TO)'

.PHONY: new-service
new-service: ## add a service that runs, such as NAME=notifier
	@deploy/newservice/new-service.sh

.PHONY: clean
clean: ## remove what was built and all state of the local stack
	@find $(STATE) -type l -lname '*/agentbus-postgres-*' -exec sh -c 'rm -rf "$$(readlink "$$1")"' - {} \; 2>/dev/null || true
	@rm -rf $(STATE) bin

.PHONY: deps
deps:
	@deploy/install-deps.sh

$(GOLANGCI_LINT):
	@mkdir -p $(TOOLS)
	@echo "building golangci-lint $(GOLANGCI_LINT_VERSION), once"
	@GOWORK=off GOBIN=$(TOOLS) go install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCI_LINT_VERSION)
	@mv $(TOOLS)/golangci-lint $@

# No package's install script runs: one of them reports who installs it.
$(API_TOOLS): deploy/api/package.json deploy/api/package-lock.json
	@deploy/install-deps.sh --dev
	@mkdir -p $(TOOLS)/api
	@cp $^ $(TOOLS)/api
	@npm ci --prefix $(TOOLS)/api --ignore-scripts --no-audit --no-fund --loglevel=error
	@touch $@

$(ACTIONLINT):
	@mkdir -p $(TOOLS)
	@GOWORK=off GOBIN=$(TOOLS) go install github.com/rhysd/actionlint/cmd/actionlint@$(ACTIONLINT_VERSION)
	@mv $(TOOLS)/actionlint $@
