#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Renders every fixture of tests/data/chat-templates.tar.xz with `olivine template` and compares the lines byte for byte;
# where an error is expected, an error with that message must come. Then compares with jinja2 where it is installed.
here=$(CDPATH= cd -- "$(dirname -- "$0")" && pwd)
olivine=${OLIVINE:-build/olivine}
dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT
failed=0
tar -xJf "$here/../data/chat-templates.tar.xz" -C "$dir" || { echo "FAIL templates (cannot unpack)"; exit 1; }
for t in "$dir"/chat-templates/*/; do
    name=$(basename "$t")
    "$olivine" template --template "$t/template.jinja" --jsonl <"$t/in.jsonl" >"$t/got.jsonl" 2>"$t/stderr"
    if awk -v got="$t/got.jsonl" '
        { if ((getline line < got) <= 0) line = "(no answer)" }
        /^\{"error":/ {
            want = substr($0, 12, length($0) - 13)
            if (line !~ /^\{"error":/ || (want != "" && index(line, want) == 0)) { print "  want " $0 "\n  got  " line; bad = 1 }
            next
        }
        line != $0 { print "  want " $0 "\n  got  " line; bad = 1 }
        END { exit bad }' "$t/out.jsonl" >"$t/diff"; then
        echo "PASS templates/$name ($(wc -l <"$t/out.jsonl") cases)"
    else
        echo "FAIL templates/$name"
        cut -c1-300 "$t/diff" | head -8
        head -3 "$t/stderr"
        failed=1
    fi
done
if command -v python3 >/dev/null; then
    python3 "$here/differential.py" "$olivine" || failed=1
else
    echo "SKIP templates/differential (no python3)"
fi
exit $failed
