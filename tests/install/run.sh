#!/usr/bin/env bash
# Installs the build at $1 into a fresh prefix, builds the consumer with the compiler $2 against it, and runs it.
set -euo pipefail
build=$1
compiler=$2
here=$(cd "$(dirname "$0")" && pwd)
work=$build/tests/install
rm -rf "$work"
mkdir -p "$work"
cmake --install "$build" --prefix "$work/prefix" >/dev/null
cmake -G Ninja -S "$here/consumer" -B "$work/consumer" -DCMAKE_PREFIX_PATH="$work/prefix" \
  -DCMAKE_CXX_COMPILER="$compiler" -DCMAKE_BUILD_TYPE=Debug "${@:3}" >/dev/null
cmake --build "$work/consumer" >/dev/null
"$work/consumer/consumer"
# README.md's first program, with its own CMakeLists.txt.
root=$(cd "$here/../.." && pwd)
mkdir "$work/first"
awk '/^```cpp$/ { on = 1; next } /^```$/ { if (on) exit } on' "$root/README.md" > "$work/first/first.cc"
awk '/^```cmake$/ { on = 1; next } /^```$/ { if (on) exit } on' "$root/README.md" > "$work/first/CMakeLists.txt"
cmake -G Ninja -S "$work/first" -B "$work/first/build" -DCMAKE_PREFIX_PATH="$work/prefix" \
  -DCMAKE_CXX_COMPILER="$compiler" -DCMAKE_BUILD_TYPE=Debug "${@:3}" >/dev/null
cmake --build "$work/first/build" >/dev/null
[ -x "$work/first/build/first" ]
# The command is installed where it is built.
if [ -e "$build/sallyport" ]; then "$work/prefix/bin/sallyport" --help >/dev/null; fi
