#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# All tokenizer cases through the program: ids with and without special tokens, offsets, type ids, decoded text, streams; then
# random texts beside the packages that the tokenizers come from (a few megabytes, from the package index).
# The same tokenizers as OpenVINO's models; beside OpenVINO where $OPENVINO_PYTHON has openvino_tokenizers and transformers.
# $OLIVINE: the program (default build/olivine); $TEST_TMP: a folder to work in (default a new one); $OLIVINE_FULL=1: 100,000
# texts a kind instead of 2,000, and every text of a megabyte instead of four a kind; $BUILD: where the packages are kept.
set -u
here=$(cd "$(dirname "$0")" && pwd)
olivine=${OLIVINE:-build/olivine}
work=${TEST_TMP:-$(mktemp -d)}
env=${BUILD:-build}/tokenizers-env
command -v python3 >/dev/null || { echo "SKIP tokenizers: no python3 to compare with"; exit 0; }
[ -x "$olivine" ] || { echo "FAIL tokenizers: no program at $olivine"; exit 1; }
mkdir -p "$work" && tar -xJf "$here/../data/tokenizers.tar.xz" -C "$work" || { echo "FAIL tokenizers: cannot unpack"; exit 1; }
python=${PYTHON:-$env/bin/python}
"$python" -c 'import tokenizers, sentencepiece, tiktoken' 2>/dev/null || {
    [ -x "$env/bin/python" ] || python3 -m venv "$env" >/dev/null 2>&1
    timeout 180 "$env/bin/python" -m pip install -q tokenizers sentencepiece tiktoken >/dev/null 2>&1
    python=$env/bin/python
}
"$python" -c '' 2>/dev/null || python=python3
count=2000
sample=4
[ "${OLIVINE_FULL:-0}" = 1 ] && count=100000 sample=28
code=0
python3 "$here/check.py" "$olivine" "$work/tokenizers" || code=1
"$python" "$here/differential.py" "$olivine" --count "${COUNT:-$count}" --root "$work/tokenizers" || code=1
"$python" "$here/linear.py" "$olivine" --root "$work/tokenizers" --sample $sample || code=1
"${OPENVINO_PYTHON:-$python}" "$here/openvino_models.py" "$olivine" "$work/tokenizers" || code=1
[ -n "${TEST_TMP:-}" ] || rm -rf "$work"
exit $code
