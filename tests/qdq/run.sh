#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Layers written as DequantizeLinear: onnxruntime loads them and gives our scores. Prints PASS, FAIL or SKIP lines.
# Needs: OLIVINE (the program), TEST_TMP (a fresh folder); OLIVINE_PYTHON: which Python.
: "${OLIVINE:?}" "${TEST_TMP:?}"
python=${OLIVINE_PYTHON:-python3}
if ! "$python" -c 'import numpy, onnxruntime' 2>/dev/null; then
    "$python" -m venv "$TEST_TMP/venv" 2>/dev/null && "$TEST_TMP/venv/bin/pip" install -q numpy onnxruntime >&2 2>/dev/null &&
        python=$TEST_TMP/venv/bin/python || { echo "SKIP qdq: onnxruntime is not to be had"; exit 0; }
fi
exec "$python" "$(dirname "$0")/check.py" "$OLIVINE" "$(cd "$(dirname "$0")/../.." && pwd)/models/pebble" "$TEST_TMP"
