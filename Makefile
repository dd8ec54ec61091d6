# Targets are documented behind "##"; `make help` prints them.

export CGO_ENABLED := 0

GO          ?= go
STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2
GOVULNCHECK := golang.org/x/vuln/cmd/govulncheck@v1.9.0
FUZZTIME    ?= 10s

# Two fifths of the first `make test` went to compiling. It takes a quarter less without debug information, and
# without inlining but where tests compute much. All that runs tests and lint compiles alike, so that each finds what
# the others left in the build cache; what is built to be used is built as always.
MODULE  := github.com/hipengine/hipengine
PLAIN   := github.com/... google.golang.org/... go.opentelemetry.io/... golang.org/x/net/... net/... go/... \
  crypto/tls crypto/x509
INLINED := github.com/ebitengine/purego/... github.com/dlclark/regexp2/... \
  $(addprefix $(MODULE)/,engine/bench ops_hip/internal/rdna/exec ops_hip/internal/rdna/mem ops_ref/... tensor/... \
  text/tokenizer)
TESTFLAGS := $(strip $(GOFLAGS) -gcflags=all=-dwarf=false $(foreach p,$(PLAIN),'-gcflags=$p=-dwarf=false -l') \
  $(foreach p,$(INLINED),-gcflags=$p=-dwarf=false))
test long modules race lint: export GOFLAGS := $(TESTFLAGS)

# Most tests keep little and allocate much: collecting garbage less often saves a sixth of their time.
test long: export GOGC ?= 400

.PHONY: help
help: ## print this list
	@grep -hE "^[a-z0-9-]+:.*##" $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

.PHONY: all
all: lint test ## lint and test

.PHONY: build
build: ## build bin/hipengine
	$(GO) build -trimpath -o bin/hipengine ./cmd/hipengine

# On one core each, as packages are tested side by side: threads that wait for each other would spin for one that others
# have. Tests that need two take them; make long and race take all.
.PHONY: test
test: ## run the tests (some minutes on 2 cores) and count what is skipped; the emulator has its own target
	$(GO) run ./internal/testsum -vet=off -short -cpu 1 ./... # make lint vets

.PHONY: long
long: ## the cases that `make test` leaves out to be quick; make test-all runs them
	$(GO) run ./internal/testsum -vet=off -timeout 60m . ./cmd/hipengine ./conformance/... ./models/... ./engine ./engine/runner ./engine/sample ./engine/spec ./internal/roofline ./ops/place ./ops_ref/... ./ops_hip/internal/kbuild ./serve ./text/...

.PHONY: modules
modules: ## modules of others that use this one as a library, and that add to it
	$(GO) test -run '^(TestOutside|TestThirdParty)$$' . ./internal/archtest

.PHONY: test-all
test-all: lint test long modules race soak openai page peer slow k8s deb-test ## everything, long fuzzing included
	$(MAKE) fuzz FUZZTIME=60s
	GOAMD64=v3 $(GO) test ./tensor/... ./ops_ref/... ./conformance/...
	$(GO) test -tags noasm ./ops_ref/... ./conformance/...
	$(MAKE) emulator EMULATED_TESTS="$(EMULATED)"
	$(MAKE) kernels-check
	$(MAKE) kfd
	$(MAKE) test-arm64

.PHONY: arm64
arm64: ## the NEON kernels, and Ember through them, in an emulator (needs qemu-aarch64, llvm-mc-22)
	$(GO) test -run TestEncodings ./ops_ref/internal/simd
	GOARCH=arm64 $(GO) test -short -exec qemu-aarch64 ./ops_ref/internal/simd
	GOARCH=arm64 $(GO) test -short -exec 'qemu-aarch64 -cpu cortex-a53' ./ops_ref/internal/simd # no dot products
	GOARCH=arm64 $(GO) build -trimpath -tags nogpu -o bin/hipengine-arm64 ./cmd/hipengine
	test "$$(qemu-aarch64 bin/hipengine-arm64 run --device cpu 'What is the capital of France?')" = 'The capital of France is Paris.'

.PHONY: test-arm64
test-arm64: arm64 ## the short tests of the CPU devices for arm64
	GOARCH=arm64 $(GO) vet ./...
	GOARCH=arm64 $(GO) test -short -exec qemu-aarch64 ./ops_ref/...

.PHONY: generate
generate: ## write the CPU's vector kernels anew
	$(MAKE) -C ops_ref/internal/simd/_gen

.PHONY: race
race: ## run the concurrent packages under the race detector, and the server against its OpenAPI document (needs gcc)
	CGO_ENABLED=1 $(GO) test -race -short -tags openapi -skip "^TestFields" ./ops_ref/internal/par ./engine ./engine/kv ./engine/pool ./engine/prefix ./engine/disk ./models/hub ./ops/place ./serve/...

.PHONY: k8s
k8s: ## the manifests of packaging/k8s against published types and schemas, and the server
	cd testdata/k8s && $(GO) vet ./... && $(GO) test ./...

.PHONY: slow
slow: ## slow headers, bodies and readers against the server (needs slowhttptest)
	$(GO) test -tags slow -run '^TestSlowHTTP$$' -v ./cmd/hipengine

.PHONY: soak
soak: ## a minute of 64 streams, with cancels, deadlines and bad requests beside them
	HIPENGINE_SOAK=60s $(GO) test -count=1 -run '^TestSoak$$' -v ./serve

.PHONY: fuzz
fuzz: ## run every fuzz target for FUZZTIME each
	@set -e; status=; log=$$(mktemp); trap 'rm -f "$$log"' EXIT; for pkg in $$($(GO) list ./...); do \
	  for f in $$($(GO) test -list '^Fuzz' $$pkg | grep '^Fuzz' || true); do \
	    echo "fuzz $$pkg $$f"; \
	    $(GO) test -run '^$$' -fuzz "^$$f$$" -fuzztime $(FUZZTIME) $$pkg >$$log 2>&1 || status=$$?; \
	    tail -n 3 $$log; \
	    if [ -n "$$status" ]; then \
	      : a worker that is busy when the time is up makes go test say this and nothing else; \
	      grep -q '^    context deadline exceeded$$' $$log && ! grep -q 'Failing input' $$log || { cat $$log; exit 1; }; \
	    fi; status=; \
	  done; \
	done

.PHONY: lint
lint: ## gofmt, vet, staticcheck, tidy go.mod
	@out=$$(gofmt -l .); if [ -n "$$out" ]; then echo "gofmt would change:"; echo "$$out"; exit 1; fi
	$(GO) vet ./...
	$(GO) run $(STATICCHECK) ./...
	$(GO) mod tidy -diff

.PHONY: openai
openai: build ## the clients of OpenAI, Anthropic, Ollama and Vercel from npm against the server
	cd internal/openaitest && npm ci --no-audit --no-fund --silent && HIPENGINE=$(CURDIR)/bin/hipengine node --test

.PHONY: page
page: build ## the page in Chromium without a screen (SHOTS=DIR keeps pictures)
	cd internal/webtest && npm ci --no-audit --no-fund --silent && HIPENGINE=$(CURDIR)/bin/hipengine node --test

.PHONY: llama-tests
llama-tests: build ## llama.cpp's tests of its server, from npm, against ours (internal/llamatest says what it needs)
	HIPENGINE=$(CURDIR)/bin/hipengine internal/llamatest/run.sh

PEERTEST = cd internal/peertest && npm ci --no-audit --no-fund --silent && HIPENGINE=$(CURDIR)/bin/hipengine

.PHONY: peer
peer: build ## llama.cpp from npm on files that we write: loading, tokens, texts, logits, perplexity
	$(PEERTEST) node --test

.PHONY: bench-peer
bench-peer: build ## our speed next to llama.cpp's (internal/peertest/bench.mjs lists PEER_MODELS and other variables)
	$(PEERTEST) node bench.mjs

.PHONY: conform
conform: build ## the conformance suite on the CPU devices
	bin/hipengine conform --device cpu
	bin/hipengine conform --device ref

.PHONY: builds
builds: ## both kinds of binary: with GPU runtimes, and fully static without
	$(GO) build -trimpath -o bin/hipengine ./cmd/hipengine
	$(GO) build -trimpath -tags nogpu -o bin/hipengine-nogpu ./cmd/hipengine
	bin/hipengine-nogpu run --device cpu "What is the capital of France?"
	! ldd bin/hipengine-nogpu 2>/dev/null || { echo "bin/hipengine-nogpu is not static"; exit 1; }

RELEASE = cd packaging/release && $(GO) run . -root ../.. -out ../../dist

.PHONY: deb
deb: ## Debian packages for amd64 and arm64 (CPU) into dist/
	$(RELEASE) deb

.PHONY: apt-repo
apt-repo: ## a repository of the packages in dist/, in dist/apt, signed with the secret key in the file RELEASE_KEY
	$(RELEASE) apt-repo

.PHONY: dist
dist: ## archives, image layout, bills of material, licences and checksums into dist/
	$(RELEASE) dist

.PHONY: vuln
vuln: ## known vulnerabilities in what the program calls (needs vuln.go.dev, or the database that GOVULNDB names)
	$(GO) run $(GOVULNCHECK) $(if $(GOVULNDB),-db $(GOVULNDB)) ./...
	cd packaging/release && $(GO) run $(GOVULNCHECK) $(if $(GOVULNDB),-db $(GOVULNDB)) ./...

.PHONY: footprint
footprint: builds ## size, start, time until ready (at most 1 s) and resident memory of both kinds of binary
	$(GO) run ./internal/footprint -max-ready 1s bin/hipengine bin/hipengine-nogpu

.PHONY: package-test
package-test: ## what makes packages, repositories and images (needs dpkg-dev)
	cd packaging/release && $(GO) vet ./... && $(GO) run $(STATICCHECK) ./... && $(GO) test ./...

.PHONY: deb-test
deb-test: package-test ## the packages in a clean Debian, some minutes (needs root, debootstrap, lintian, gnupg, man-db, curl)
	packaging/deb/test.sh

EMULATED := gfx1100 gfx1101 gfx1102 gfx1103 gfx1150 gfx1151 gfx1200 gfx1201
comma := ,
space := $(subst ,, )
EMULATED_TESTS ?= gfx1100 gfx1151 gfx1201

.PHONY: emulator
emulator: build ## every shipped AMD code object, executed on the CPU over all ops and types; Ember and more on EMULATED_TESTS
	set -e; for t in $(EMULATED); do \
	  bin/hipengine conform --device emu:$$t --match '^(Ops|Quant)/'; done
	HIPENGINE_TEST_TARGETS=$(subst $(space),$(comma),$(EMULATED_TESTS)) $(GO) test ./ops_hip/... ./tensor/quant
	$(GO) test -run '^TestLimits' ./internal/roofline
	set -e; for t in gfx1100 gfx1201; do \
	  HIPENGINE_EMU_CHECKS=all bin/hipengine conform --device emu:$$t --match '^(Ops|Graph)/'; \
	  bin/hipengine conform --device emu:$$t --match '^Model/(qwen3|gemma3|qwen35moe)/invariant$$'; done

.PHONY: emulator-pairs
emulator-pairs: ## tiny models of all architectures, split over two emulated GPUs, or over one and the CPU
	HIPENGINE_TEST_MODELS=all $(GO) test -count=1 -timeout 60m -run '^TestEmulator' -v ./ops/place

# The checks of the suite that run on the fake, by name. Models take most of the time.
KFD_MATCH ?= .

.PHONY: kfd
kfd: ## the driver of /dev/kfd on a strict fake of kernel and GPU: conformance, Ember, soak, bringing up (hours on 2 cores)
	$(GO) test -timeout 30m ./ops_hip/internal/kfd/...
	set -e; for t in $(EMULATED_TESTS); do HIPENGINE_TEST_TARGETS=$$t HIPENGINE_KFD_MATCH='$(KFD_MATCH)' \
	  $(GO) test -count=1 -timeout 4h -run '^TestKFD' -v ./ops_hip; done

include ops_hip/kernels/kernels.mk
