#!/usr/bin/env bash
# Writes the files that golden_test compares with anew: bazel run //tests/golden:update
set -euo pipefail
expected=${BUILD_WORKSPACE_DIRECTORY:?run it by: bazel run //tests/golden:update}/tests/golden/expected
rm -rf "$expected"
mkdir -p "$expected"
for generated in tests/golden/cases/*.anywire.{h,cc,mock.h}; do
  install -m 644 "$generated" "$expected/$(basename "$generated").golden"
done
echo "wrote $(find "$expected" -type f | wc -l) files to $expected"
