#!/bin/sh
# Rebuilds the committed code objects from the sources in this directory with
# clang-22 and lld-22. The names of the controls say what is wrong with them. norm.sunk is right: LLVM 22 no longer
# sinks the permlane. norm.machine_sink is what clang 19.1.7 made of norm.hip with the same flags, and stays as it is.
set -e
cd "$(dirname "$0")"
sink="-mllvm -disable-machine-sink"
build() { # source, object, flags
  clang-22 -x hip --cuda-device-only --no-gpu-bundle-output --offload-arch="$target" -nogpuinc -nogpulib -O3 \
    -fuse-cuid=none -mcode-object-version=5 -Xclang -target-feature -Xclang -real-true16 -ffile-prefix-map="$PWD=." $3 "$1.hip" -o "$target/$2.co"
}
for target in gfx1100 gfx1151 gfx1201; do
  mkdir -p $target
  for source in norm mat_vec gemm attention misc arith cross_lane bounds; do build $source $source "$sink"; done
  build norm norm.sunk ""
  build norm norm.no_barrier "$sink -DNO_BARRIER"
  build norm norm.tail "$sink -DTAIL_BUG"
  build gemm gemm.swapped_rows "$sink -DSWAP_ROWS"
  build norm norm.flush "$sink -fgpu-flush-denormals-to-zero"
done
