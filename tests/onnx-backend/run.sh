#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The ONNX backend vectors on the reference device: one PASS line per class, one SKIP line per operator that is not there.
# A vector that passes or fails against expected.txt is drift, and fails. Then random nodes of every version of every operator
# beside onnxruntime and the reference evaluator of onnx, and inferred shapes beside those of onnx, where a Python has both
# (OLIVINE_HF_PYTHON: which one); OLIVINE_FULL=1 installs them where they are missing and tries many more (SEED, COUNT).
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

here=$(cd "$dir" && pwd) tmp=${TEST_TMP:-/tmp} runner=$build/tests/onnx-backend/onnx_backend
full=${OLIVINE_FULL:-0} python=${OLIVINE_HF_PYTHON:-python3} env=$build/onnx-env
has_packages() { "$1" -c 'import onnx, onnxruntime' 2>/dev/null; }
if ! has_packages "$python" && [ "$full" = 1 ]; then
    [ -x "$env/bin/python" ] || python3 -m venv "$env"
    has_packages "$env/bin/python" || "$env/bin/pip" install -q onnx onnxruntime >&2
    python=$env/bin/python
fi
if ! has_packages "$python"; then
    echo "SKIP onnx-differential: no Python here has onnx and onnxruntime"
    exit $code
fi
count=2
[ "$full" = 1 ] && count=40
"$python" "$here/differential.py" "$runner" --cases "${COUNT:-$count}" --seed "${SEED:-1}" --keep "$tmp/differential" || code=1
for data in "$tmp/differential" "$build/data/onnx-backend"; do
    "$python" "$here/shapes.py" "$runner" "$data" || code=1
done
exit $code
