# Included by the Makefile at the root of the repository.
include ops_hip/kernels/targets.mk

.PHONY: kernels kernels-check kernels-sums kernels-testdata

# The driver of /dev/kfd has kernels of its own, for transfers.
KFD := ops_hip/internal/kfd/drv
KFD_KERNELS := -loose -src $(KFD)/kernels -out $(KFD)/objects $(filter gfx%,$(KERNEL_TARGETS))

kernels: ## compile the GPU kernels and write the packages that embed them (needs clang-22, lld-22)
	go run ./ops_hip/internal/kbuild $(KERNEL_TARGETS)
	go run ./ops_hip/internal/kbuild $(KFD_KERNELS)

# Targets that kernels-sums rebuilds: of each generation one.
KERNELS_SUMS ?= gfx1100 gfx1201 sm_90

kernels-sums: ## rebuild the GPU kernels of some targets and fail if their hashes are not the committed ones
	go run ./ops_hip/internal/kbuild -check -sums $(KERNELS_SUMS)

kernels-check: ## rebuild the GPU kernels and fail if they differ from the committed ones
	go run ./ops_hip/internal/kbuild -check $(KERNEL_TARGETS)
	go run ./ops_hip/internal/kbuild -check $(KFD_KERNELS)

FRAGMENTS := ops_hip/testdata/fragments

kernels-testdata: ## compile the kernels that tests use
	go run ./ops_hip/internal/kbuild -loose -src $(FRAGMENTS) -out $(FRAGMENTS) $(filter gfx%,$(KERNEL_TARGETS))
	go run ./ops_hip/internal/kbuild -loose -src ops_hip/testdata/kernels -out ops_hip/testdata/codeobj gfx1100 gfx1201 sm_80 sm_90
	cd testdata/thirdparty && go generate ./...
