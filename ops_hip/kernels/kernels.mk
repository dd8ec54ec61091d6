# Included by the Makefile at the root of the repository.
include ops_hip/kernels/targets.mk

.PHONY: kernels kernels-check kernels-testdata

kernels: ## compile the GPU kernels and write the packages that embed them (needs clang-22, lld-22)
	go run ./ops_hip/internal/kbuild $(KERNEL_TARGETS)

kernels-check: ## rebuild the GPU kernels and fail if they differ from the committed ones
	go run ./ops_hip/internal/kbuild -check $(KERNEL_TARGETS)

FRAGMENTS := ops_hip/testdata/fragments

kernels-testdata: ## compile the kernels that tests use
	go run ./ops_hip/internal/kbuild -loose -src $(FRAGMENTS) -out $(FRAGMENTS) $(filter gfx%,$(KERNEL_TARGETS))
	go run ./ops_hip/internal/kbuild -loose -src ops_hip/testdata/kernels -out ops_hip/testdata/codeobj gfx1100 gfx1201 sm_80 sm_90
	cd testdata/thirdparty && go generate ./...
