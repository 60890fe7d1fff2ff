#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The command compress: all types on model files and folders, budgets, reports and conditions; the same bytes for any number of threads; with
# OpenVINO, that it computes near what the floats give. Prints PASS, FAIL or SKIP lines.
# Needs: OLIVINE (the program), TEST_TMP (a fresh folder); OLIVINE_PYTHON: which Python.
: "${OLIVINE:?}" "${TEST_TMP:?}"
command -v "${OLIVINE_PYTHON:-python3}" >/dev/null || { echo "SKIP compress: python3 is not installed"; exit 0; }
exec "${OLIVINE_PYTHON:-python3}" "$(dirname "$0")/check.py" "$OLIVINE" "$(cd "$(dirname "$0")/../.." && pwd)" "$TEST_TMP"
