#!/usr/bin/env bash
# Makes sure that a linker, Node and the pinned Rust with its wasm target are there, and writes a
# make fragment that says which toolchain to use. Usage: toolchain.sh FRAGMENT
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. tools/lib.sh

fragment=$1
channel=$(sed -n 's/^channel = "\(.*\)"/\1/p' rust-toolchain.toml)
target=wasm32-unknown-unknown

need_linker() {
  has cc || apt_install "a C compiler (Rust links with it, SQLite is built with it)" gcc libc6-dev
}

need_node() {
  has node && has npm || fail "Node.js and npm are missing." "install Node 20 or later with npm."
  local major
  major=$(node -p 'process.versions.node.split(".")[0]')
  [ "$major" -ge 20 ] || fail "Node.js $(node --version) is too old." "install Node 20 or later."
}

# Whether the pinned toolchain is complete; asks the disk, never the network.
pinned_rust_is_there() {
  local sysroot
  sysroot=$(rustup run "$channel" rustc --print sysroot 2>/dev/null) &&
    [ -d "$sysroot/lib/rustlib/$target/lib" ] &&
    [ -x "$sysroot/bin/cargo-clippy" ] && [ -x "$sysroot/bin/cargo-fmt" ]
}

install_pinned_rust() {
  echo "Installing Rust $channel with $target"
  rustup toolchain install "$channel" --profile minimal --no-self-update \
    --component rustfmt --component clippy --target "$target"
}

need_rust() {
  has rustup && has cargo || fail "Rust is missing." "install rustup from https://rustup.rs and try again."
  pinned_rust_is_there || install_pinned_rust || return 1
  : >"$fragment.new"
}

need_linker
need_node
need_rust || {
  echo "rustup could not fetch Rust $channel; falling back to Debian's toolchain."
  tools/debian-rust.sh "$fragment.new"
}
mv "$fragment.new" "$fragment"
