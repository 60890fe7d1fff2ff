#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Families of language models against golden results. Prints PASS, FAIL or SKIP lines and a table.
# Needs: BUILD (build folder), TEST_TMP (a fresh folder). OLIVINE_FULL=1 writes docs/measured/families.md.
: "${BUILD:?}" "${TEST_TMP:?}"
root=$(cd "$(dirname "$0")/../.." && pwd)
program=$BUILD/tests/model_families
[ -x "$program" ] || { echo "SKIP models: $program is not built"; exit 0; }
tar -xJf "$root/tests/data/llm.tar.xz" -C "$TEST_TMP" || { echo "FAIL models: llm.tar.xz cannot be unpacked"; exit 1; }
table=
[ "${OLIVINE_FULL:-0}" = 1 ] && mkdir -p "$root/docs/measured" && table=$root/docs/measured/families.md
exec "$program" "$TEST_TMP/llm" "$root/models/pebble" $table
