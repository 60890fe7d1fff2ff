#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Models written in other formats, against their sources; with transformers and onnxruntime where Python has them
# (OLIVINE_PYTHON: which Python). Prints PASS, FAIL and SKIP lines. Needs: OLIVINE (the program), TEST_TMP (a fresh folder).
: "${OLIVINE:?}" "${TEST_TMP:?}"
root=$(cd "$(dirname "$0")/../.." && pwd)
tar -xJf "$root/tests/data/llm.tar.xz" -C "$TEST_TMP" || { echo "FAIL convert: llm.tar.xz cannot be unpacked"; exit 1; }
exec "${OLIVINE_PYTHON:-python3}" "$root/tests/convert/check.py" "$OLIVINE" "$TEST_TMP" "$root/models/pebble"
