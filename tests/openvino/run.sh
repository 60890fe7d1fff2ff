#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# What the program writes for OpenVINO, run by OpenVINO itself: the ONNX backend vectors as IR beside OpenVINO's own reader of
# ONNX (one of ten; all with OLIVINE_FULL=1). OLIVINE_OV_PYTHON: a Python that has openvino and onnx.
set -u
build=${BUILD:-${1:-build}}
dir=$(cd "$(dirname "$0")" && pwd)
python=${OLIVINE_OV_PYTHON:-python3} every=10
[ "${OLIVINE_FULL:-0}" = 1 ] && every=1
"$python" "$dir/backend.py" "$build/olivine" "$build/data/onnx-backend" --every "$every"
code=$?
# And the other way: IR that OpenVINO writes, run by the program.
[ $code = 0 ] && { "$python" "$dir/read.py" "$build/olivine" "$build/data/onnx-backend" --every "$every" --least 0.95; code=$?; }
[ $code = 77 ] && code=0 # said so
exit $code
