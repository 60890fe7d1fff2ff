#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Checkpoints in the formats of the hub against golden logits, and broken ones. Prints PASS and FAIL lines.
# Needs: OLIVINE (the program), TEST_TMP (a fresh folder).
: "${OLIVINE:?}" "${TEST_TMP:?}"
root=$(cd "$(dirname "$0")/../.." && pwd)
mkdir "$TEST_TMP/checkpoints"
tar -xJf "$root/tests/data/checkpoints.tar.xz" -C "$TEST_TMP/checkpoints" || { echo "FAIL checkpoints: cannot be unpacked"; exit 1; }
exec python3 "$root/tests/checkpoints/check.py" "$OLIVINE" "$TEST_TMP/checkpoints" "$TEST_TMP"
