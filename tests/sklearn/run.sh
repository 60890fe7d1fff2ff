#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Models of scikit-learn against scikit-learn itself. Prints PASS, FAIL or SKIP lines.
# Needs: OLIVINE (the program), TEST_TMP (a fresh folder); OLIVINE_PYTHON: which Python.
: "${OLIVINE:?}" "${TEST_TMP:?}"
python=${OLIVINE_PYTHON:-python3}
if ! "$python" -c 'import sklearn, skl2onnx' 2>/dev/null; then
    "$python" -m venv "$TEST_TMP/venv" 2>/dev/null && "$TEST_TMP/venv/bin/pip" install -q scikit-learn skl2onnx >&2 2>/dev/null &&
        python=$TEST_TMP/venv/bin/python || { echo "SKIP sklearn: scikit-learn and skl2onnx are not to be had"; exit 0; }
fi
if "$python" -W ignore "$(dirname "$0")/compare.py" "$OLIVINE"; then echo "PASS sklearn"; else echo "FAIL sklearn"; exit 1; fi
