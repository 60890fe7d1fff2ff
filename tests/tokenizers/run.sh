#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# All tokenizer cases through the program: ids with and without special tokens, offsets, type ids, decoded text, streams.
# $OLIVINE: the program (default build/olivine); $TEST_TMP: a folder to work in (default a new one).
set -u
here=$(cd "$(dirname "$0")" && pwd)
olivine=${OLIVINE:-build/olivine}
work=${TEST_TMP:-$(mktemp -d)}
command -v python3 >/dev/null || { echo "SKIP tokenizers (no python3 to compare with)"; exit 0; }
[ -x "$olivine" ] || { echo "FAIL tokenizers (no program at $olivine)"; exit 1; }
mkdir -p "$work" && tar -xJf "$here/../data/tokenizers.tar.xz" -C "$work" || { echo "FAIL tokenizers (cannot unpack)"; exit 1; }
code=0
python3 "$here/check.py" "$olivine" "$work/tokenizers" || code=1
python3 "$here/differential.py" "$olivine" --count "${COUNT:-2000}" || code=1
[ -n "${TEST_TMP:-}" ] || rm -rf "$work"
exit $code
