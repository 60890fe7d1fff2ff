#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Fetching models from a stand-in hub on this machine (hub.py). Prints PASS and FAIL lines.
# Needs: OLIVINE (the program), TEST_TMP (a fresh folder).
: "${OLIVINE:?}" "${TEST_TMP:?}"
root=$(cd "$(dirname "$0")/../.." && pwd)
if ! "$OLIVINE" pull -h >/dev/null 2>&1; then echo "FAIL pull: there is no such command"; exit 1; fi
exec python3 "$root/tests/pull/check.py" "$OLIVINE" "$TEST_TMP" "$root/models/pebble"
