#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# GGUF files against golden results, broken ones, and files written from Hugging Face folders; in the full tier, in llama.cpp
# too (OLIVINE_LLAMA_PYTHON names a Python that has it; building it takes long). Prints PASS, FAIL and SKIP lines.
# Needs: OLIVINE (the program), TEST_TMP (a fresh folder).
: "${OLIVINE:?}" "${TEST_TMP:?}"
root=$(cd "$(dirname "$0")/../.." && pwd)
for a in llm-gguf llm; do
    tar -xJf "$root/tests/data/$a.tar.xz" -C "$TEST_TMP" || { echo "FAIL gguf: $a.tar.xz cannot be unpacked"; exit 1; }
done
code=0
python3 "$root/tests/gguf/check.py" "$OLIVINE" "$TEST_TMP/llm-gguf" "$TEST_TMP" || code=1
python=${OLIVINE_LLAMA_PYTHON:-}
if [ -z "$python" ] && [ "${OLIVINE_FULL:-0}" = 1 ]; then
    env=${BUILD:-$root/build}/llama-env
    [ -x "$env/bin/python" ] || python3 -m venv "$env" >/dev/null 2>&1
    "$env/bin/python" -c 'import llama_cpp' 2>/dev/null ||
        CMAKE_ARGS="-DGGML_AMX_INT8=OFF" timeout 3000 "$env/bin/python" -m pip install -q llama-cpp-python >/dev/null 2>&1
    python=$env/bin/python
fi
if [ -n "$python" ]; then
    "$python" "$root/tests/gguf/in_llama.py" "$OLIVINE" "$TEST_TMP" || code=1
else
    echo "SKIP gguf/llama.cpp: it is built from source; --full does"
fi
exit $code
