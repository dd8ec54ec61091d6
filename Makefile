# Targets are documented behind "##"; `make help` prints them.

export CGO_ENABLED := 0

GO          ?= go
STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2
FUZZTIME    ?= 10s

.PHONY: help
help: ## print this list
	@grep -hE "^[a-z-]+:.*##" $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

.PHONY: all
all: lint test ## lint and test

.PHONY: build
build: ## build bin/hipengine
	$(GO) build -trimpath -o bin/hipengine ./cmd/hipengine

.PHONY: test
test: ## run the tests (within 4 minutes on 2 cores)
	$(GO) vet ./...
	$(GO) test ./...

.PHONY: test-all
test-all: lint test race openai ## everything, long fuzzing included
	$(MAKE) fuzz FUZZTIME=60s
	GOAMD64=v3 $(GO) test ./tensor/... ./ops_ref/... ./conformance/...

.PHONY: race
race: ## run the concurrent packages under the race detector (needs gcc)
	CGO_ENABLED=1 $(GO) test -race ./ops_ref/internal/par/... ./models/runner/... ./serve/...

.PHONY: fuzz
fuzz: ## run every fuzz target for FUZZTIME each
	@set -e; for pkg in $$($(GO) list ./...); do \
	  for f in $$($(GO) test -list '^Fuzz' $$pkg | grep '^Fuzz' || true); do \
	    echo "fuzz $$pkg $$f"; $(GO) test -run '^$$' -fuzz "^$$f$$" -fuzztime $(FUZZTIME) $$pkg; \
	  done; \
	done

.PHONY: lint
lint: ## gofmt, vet, staticcheck, tidy go.mod
	@out=$$(gofmt -l .); if [ -n "$$out" ]; then echo "gofmt would change:"; echo "$$out"; exit 1; fi
	$(GO) vet ./...
	$(GO) run $(STATICCHECK) ./...
	$(GO) mod tidy -diff

.PHONY: openai
openai: build ## the openai client from npm against the server
	cd internal/openaitest && npm ci --no-audit --no-fund --silent && HIPENGINE=$(CURDIR)/bin/hipengine node --test

.PHONY: conform
conform: build ## the conformance suite on the CPU devices
	bin/hipengine conform --device cpu
	bin/hipengine conform --device ref

include ops_hip/kernels/kernels.mk
