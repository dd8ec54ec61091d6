#!/usr/bin/env bash
# Runs the tests of llama.cpp's server against ours. HIPENGINE is our program; LLAMA_TESTS a folder for what is fetched.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
package=node-llama-cpp@3.22.1
dir=${LLAMA_TESTS:-${TMPDIR:-/tmp}/hipengine-llama-tests}
python=${PYTHON:-/usr/bin/python3}
mkdir -p "$dir"
cd "$dir"
if [ ! -d llama.cpp ]; then
  tarball=$(npm pack --silent "$package")
  tar -xzf "$tarball" package/llama/gitRelease.bundle
  git clone --quiet --no-checkout package/llama/gitRelease.bundle llama.cpp.part
  git -C llama.cpp.part sparse-checkout set --no-cone /tools/server/tests/ /models/templates/
  git -C llama.cpp.part checkout --quiet HEAD
  mv llama.cpp.part llama.cpp
fi
cp "$here/../ember/ember-Q8_0.gguf" .
if [ -n "${ENDLESS:-}" ]; then "$python" "$here/endless.py" ember-Q8_0.gguf; fi
export HIPENGINE EMBER=$dir/ember-Q8_0.gguf LLAMA_SERVER_BIN_PATH=$here/llama-server
export PYTHONPATH=$here${PYTHONPATH:+:$PYTHONPATH} PYTHONDONTWRITEBYTECODE=1
"$python" -c 'import openai' 2>/dev/null || PYTHONPATH=$here/standin:$PYTHONPATH
cd llama.cpp/tools/server/tests
exec "$python" -m pytest -p applicable -m "not slow" -q --tb=short -o console_output_style=count "$@"
