#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# GGUF files against golden results, broken ones, and files written from Hugging Face folders. Prints PASS and FAIL lines.
# Needs: OLIVINE (the program), TEST_TMP (a fresh folder).
: "${OLIVINE:?}" "${TEST_TMP:?}"
root=$(cd "$(dirname "$0")/../.." && pwd)
for a in llm-gguf llm; do
    tar -xJf "$root/tests/data/$a.tar.xz" -C "$TEST_TMP" || { echo "FAIL gguf: $a.tar.xz cannot be unpacked"; exit 1; }
done
exec python3 "$root/tests/gguf/check.py" "$OLIVINE" "$TEST_TMP/llm-gguf" "$TEST_TMP"
