#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The ONNX backend vectors on the reference device: one PASS line per class, one SKIP line per operator that is not there.
# A vector that passes or fails against expected.txt is drift, and fails.
set -u
build=${BUILD:-${1:-build}}
dir=$(dirname "$0")
out=${TEST_TMP:-/tmp}/onnx-backend.txt
"$build/tests/onnx-backend/onnx_backend" "$build/data/onnx-backend" --verbose --expected "$dir/expected.txt" >"$out"
code=$?
for class in node simple pytorch-converted pytorch-operator light real; do
    pass=$(grep -c "^PASS $class/" "$out")
    all=$(grep -c -E "^(PASS|FAIL|SKIP) $class/" "$out")
    [ "$all" -gt 0 ] && echo "PASS onnx-backend/$class ($pass of $all vectors)"
done
grep '^FAIL ' "$out" | sed 's|^FAIL |FAIL onnx-backend/|'
grep '^SKIP ' "$out" | sed -n "s/.*operator '\([^']*\)' is not supported.*/\1/p" | sort | uniq -c |
    while read -r n op; do echo "SKIP onnx-backend/$op: operator not there ($n vectors)"; done
exit $code
