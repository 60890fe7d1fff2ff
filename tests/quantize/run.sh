#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Post-training quantization of three small networks, against the numbers that NNCF reaches on the same data. Prints PASS, FAIL or SKIP lines.
# Needs: OLIVINE (the program), TEST_TMP (a fresh folder).
: "${OLIVINE:?}" "${TEST_TMP:?}"
command -v python3 >/dev/null || { echo "SKIP quantize: python3 is not installed"; exit 0; }
exec python3 "$(dirname "$0")/check.py" "$OLIVINE" "$(cd "$(dirname "$0")/../.." && pwd)" "$TEST_TMP"
