#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Folders of OpenVINO GenAI: those that optimum-intel made against golden results, written ones read again, broken ones; and
# written ones in OpenVINO itself where a Python has it (OLIVINE_OPENVINO_PYTHON). Prints PASS, FAIL and SKIP lines.
# Needs: OLIVINE (the program), TEST_TMP (a fresh folder).
: "${OLIVINE:?}" "${TEST_TMP:?}"
here=$(cd "$(dirname "$0")" && pwd)
root=$(dirname "$(dirname "$here")")
for a in openvino-genai llm llm-recurrent; do
    tar -xJf "$root/tests/data/$a.tar.xz" -C "$TEST_TMP" || { echo "FAIL openvino-genai: $a.tar.xz cannot be unpacked"; exit 1; }
done
code=0
python3 "$here/check.py" "$OLIVINE" "$TEST_TMP" || code=1
"${OLIVINE_OPENVINO_PYTHON:-python3}" "$here/in_openvino.py" "$OLIVINE" "$TEST_TMP/llm" --model "$root/models/pebble"
case $? in
0 | 77) ;;
*) code=1 ;;
esac
exit $code
