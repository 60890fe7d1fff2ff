#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Decoding beyond the plain loop: constrained texts, speculation, beams, kept prompts.
here=$(CDPATH= cd -- "$(dirname -- "$0")" && pwd)
root=$(dirname -- "$(dirname -- "$here")")
olivine=${OLIVINE:-$root/build/olivine}
failed=0
if ! command -v python3 >/dev/null; then
    echo "SKIP decoding (no python3)"
    exit 0
fi
for t in "$here"/check_*.py; do
    python3 "$t" "$olivine" "$root" || failed=1
done
exit $failed
