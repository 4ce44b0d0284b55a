#!/usr/bin/env bash
# Puts one command from crates.io at FOLDER/bin/COMMAND: a link when this machine has that very
# version already, else an unoptimised build, which takes half the time and is fast enough.
# Usage: cargo-tool.sh COMMAND CRATE VERSION FOLDER [cargo install options…]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. tools/lib.sh

command=$1 crate=$2 version=$3 folder=$4
shift 4

if has "$command" && [ "$("$command" --version 2>/dev/null)" = "$command $version" ]; then
  mkdir -p "$folder/bin"
  ln -sf "$(command -v "$command")" "$folder/bin/$command"
  exit
fi
CARGO_PROFILE_DEV_DEBUG=0 cargo install "$crate" --version "$version" --root "$folder" --debug --force "$@" ||
  fail "$crate $version could not be installed." "check that crates.io can be reached, then try again."
