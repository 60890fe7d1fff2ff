#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Runs the example programs on the shipped model and looks at what they say.
# Needs: BUILD (build folder), TEST_TMP (a fresh folder).
: "${BUILD:?}" "${TEST_TMP:?}"
root=$(cd "$(dirname "$0")/../.." && pwd)
model=$root/models/pebble
failed=0
# check NAME STATUS PATTERN FILE: the program ended with 0 and FILE has the pattern
check() {
    if [ "$2" -ne 0 ]; then echo "FAIL $1: exit $2: $(tail -n 1 "$4")"; failed=1
    elif ! grep -q -e "$3" "$4"; then echo "FAIL $1: no '$3' in: $(head -c 300 "$4" | tr '\n' ' ')"; failed=1
    else echo "PASS $1"; fi
}
cd "$TEST_TMP" || exit 1
for name in generate compress tokenize search classify; do
    [ -x "$BUILD/examples/$name" ] || { echo "SKIP $name: not built"; exit 0; }
done
"$BUILD/examples/generate" "$model" "One day a fox" >gen.txt 2>&1
check generate $? 'tokens in [0-9]* pieces.*ended by \(stop\|length\)' gen.txt
"$BUILD/examples/generate" "$model" "One day a fox" 0 >cancel.txt 2>&1
code=$?
[ $code -eq 130 ] && code=0 # the stop may come too late on a fast machine: then the text is whole
check generate-cancel $code 'generate: cancelled$\|ended by \(stop\|length\)' cancel.txt
"$BUILD/examples/compress" "$model" out >comp.txt 2>&1
check compress $? 'out is complete' comp.txt
"$BUILD/examples/generate" out "One day a fox" >gen2.txt 2>&1
check generate-compressed $? 'ended by' gen2.txt
"$BUILD/examples/tokenize" "$model" "Where does the café lie?" >tok.txt 2>&1
check tokenize $? 'decoded: Where does the café lie?' tok.txt
check template 0 'prompt: .*user' tok.txt
mkdir -p enc && tar -xJf "$root/tests/data/embed.tar.xz" -C enc
"$BUILD/examples/search" enc/embed-bert "w5 w6" "w7 w8 w9" "w5 w6" >search.txt 2>&1
check search $? '^ 1.000  w5 w6$' search.txt
"$BUILD/examples/classify" "$root/tests/data/digits/digits.onnx" "$root/tests/data/pictures/digit3.png" >classify.txt 2>&1
check classify $? '^ 9[0-9].* 3$' classify.txt
echo '[0.0, 0.5, 1.0]' >x.json
"$BUILD/olivine" infer "$root/tests/data/extension/clamp.onnx" --extension "$BUILD/examples/extension.so" --input x=x.json --output-format json -o ext >ext.txt 2>&1
check extension $? '^\[0.5,1,1.5\]$' ext/0_y.json
"$BUILD/olivine" infer "$root/tests/data/extension/clamp.onnx" --input x=x.json >ext.txt 2>&1
[ $? -eq 3 ]
check no-extension $? "'example::Clamp' is not supported" ext.txt
"$BUILD/examples/generate" nowhere x >missing.txt 2>&1
if [ $? -eq 1 ] && grep -q nowhere missing.txt; then echo "PASS missing-model"
else echo "FAIL missing-model: $(cat missing.txt)"; failed=1; fi
exit $failed
