#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Damaged model files of every format. Prints PASS, FAIL or SKIP lines; SEED chooses other damage.
# Needs: OLIVINE (the program), TEST_TMP (a fresh folder).
: "${OLIVINE:?}" "${TEST_TMP:?}"
command -v python3 >/dev/null || { echo "SKIP faults: python3 is not installed"; exit 0; }
exec python3 "$(dirname "$0")/mutate.py" "$OLIVINE" "$(cd "$(dirname "$0")/../.." && pwd)" "$TEST_TMP"
