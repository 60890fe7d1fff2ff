#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# LoRA adapters against golden logits and tokens of PEFT (make_adapters.py), and adapters that must be refused. Prints PASS and
# FAIL lines. Needs: OLIVINE (the program), TEST_TMP (a fresh folder).
: "${OLIVINE:?}" "${TEST_TMP:?}"
root=$(cd "$(dirname "$0")/../.." && pwd)
for a in adapters llm; do
    tar -xJf "$root/tests/data/$a.tar.xz" -C "$TEST_TMP" || { echo "FAIL adapters: $a.tar.xz cannot be unpacked"; exit 1; }
done
exec python3 "$root/tests/adapters/check.py" "$OLIVINE" "$TEST_TMP" "$root/models/pebble"
