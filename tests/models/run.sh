#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Families of language models against golden results, then random configurations of them against transformers. Prints PASS,
# FAIL or SKIP lines and a table. Needs: BUILD (build folder), TEST_TMP (a fresh folder). OLIVINE_FULL=1 writes
# docs/measured/families.md, installs transformers where it is missing, and tries many more configurations.
# OLIVINE_HF_PYTHON: a Python that has torch and transformers.
: "${BUILD:?}" "${TEST_TMP:?}"
root=$(cd "$(dirname "$0")/../.." && pwd)
program=$BUILD/tests/model_families
[ -x "$program" ] || { echo "SKIP models: $program is not built"; exit 0; }
for archive in llm llm-recurrent; do
    tar -xJf "$root/tests/data/$archive.tar.xz" -C "$TEST_TMP" || { echo "FAIL models: $archive.tar.xz cannot be unpacked"; exit 1; }
done
table=
[ "${OLIVINE_FULL:-0}" = 1 ] && mkdir -p "$root/docs/measured" && table=$root/docs/measured/families.md
code=0
"$program" "$TEST_TMP/llm" "$root/models/pebble" $table || code=1
"$BUILD/tests/model_recurrent" "$TEST_TMP/llm" || code=1

python=${OLIVINE_HF_PYTHON:-python3} env=$BUILD/hf-env
has_transformers() { "$1" -c 'import torch, transformers' 2>/dev/null; }
if ! has_transformers "$python" && [ "${OLIVINE_FULL:-0}" = 1 ]; then
    [ -x "$env/bin/python" ] || python3 -m venv "$env"
    has_transformers "$env/bin/python" || "$env/bin/pip" install -q torch transformers >&2
    python=$env/bin/python
fi
if has_transformers "$python"; then
    count=1
    [ "${OLIVINE_FULL:-0}" = 1 ] && count=12
    "$python" "$root/tests/models/differential.py" "$BUILD/olivine" --count "${COUNT:-$count}" --seed "${SEED:-1}" || code=1
else
    echo "SKIP models/differential: no Python here has torch and transformers"
fi
exit $code
