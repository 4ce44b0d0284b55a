#!/usr/bin/env bash
# Builds the fuzz targets with the stable compiler and runs each for SECONDS_EACH seconds, from the
# seeds and on. What it finds is kept in target/fuzz. (`cargo fuzz` runs the same targets, for longer
# and with sanitizers, on a nightly compiler.) Usage: fuzz.sh SECONDS_EACH
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. tools/lib.sh

has c++ || apt_install "a C++ compiler (the fuzzer is written in it)" g++
host=$(rustc -vV | sed -n 's/^host: //p')
# What `cargo fuzz` passes, apart from the sanitizers.
coverage="-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4"
coverage+=" -Cllvm-args=-sanitizer-coverage-inline-8bit-counters"
coverage+=" -Cllvm-args=-sanitizer-coverage-pc-table -Cllvm-args=-sanitizer-coverage-trace-compares"
RUSTFLAGS="$coverage --cfg fuzzing -Cdebug-assertions" \
  cargo build --manifest-path fuzz/Cargo.toml --target "$host" --target-dir target/fuzz --locked

for name in target sse; do
  echo "Fuzzing $name for $1 s"
  mkdir -p "target/fuzz/corpus/$name" target/fuzz/found
  "target/fuzz/$host/debug/$name" "target/fuzz/corpus/$name" "fuzz/seeds/$name" \
    -max_total_time="$1" -max_len=512 -artifact_prefix=target/fuzz/found/ >"target/fuzz/$name.log" 2>&1 || {
    tail -40 "target/fuzz/$name.log" >&2
    fail "the fuzzer found something in $name." "look at target/fuzz/found, and make a test of it."
  }
done
