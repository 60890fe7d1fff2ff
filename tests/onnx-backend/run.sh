#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Prints one line `PASS name`, `FAIL name: reason` or `SKIP name: reason` per vector. Usage: run.sh [BUILD]
set -eu
build=${1:-build}
exec "$build/tests/onnx-backend/onnx_backend" "$build/data/onnx-backend" --verbose \
    --expected "$(dirname "$0")/expected.txt"
