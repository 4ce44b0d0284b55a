#!/usr/bin/env bash
# The way out where no rustup server can be reached: Debian's own Rust, linked into rustup as `web`,
# with a standard library for wasm built from Debian's sources. What is lost: link-time optimisation
# of the wasm (that library has no bitcode, so the page is about a quarter heavier), rustfmt and
# clippy. Usage: debian-rust.sh FRAGMENT
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. tools/lib.sh

fragment=$1
target=wasm32-unknown-unknown
libraries=/usr/lib/rustlib/$target/lib
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

apt_install "Debian's Rust" rustc-web cargo-web rust-web-src rust-web-llvm lld-22
rustup toolchain link web /usr

if ! compgen -G "$libraries/libstd-*.rlib" >/dev/null; then
  echo "Building the standard library for $target (about a minute)"
  mkdir "$scratch/src"
  : >"$scratch/src/lib.rs"
  printf '[package]\nname = "scratch"\nedition = "2021"\n[lib]\ncrate-type = ["cdylib"]\n' >"$scratch/Cargo.toml"
  (cd "$scratch" && RUSTC_BOOTSTRAP=1 cargo +web build --release -Z build-std=std,panic_abort --target "$target") ||
    fail "the standard library for $target could not be built." "reach a rustup server instead, then: make run"
  root=()
  [ "$(id -u)" = 0 ] || root=(sudo)
  "${root[@]}" mkdir -p "$libraries"
  "${root[@]}" cp "$scratch/target/$target/release/deps/"lib*.rlib "$libraries/"
fi

# Both halves must come from one compiler: island names are derived from their source as it prints.
cat >"$fragment" <<'MAKE'
export RUSTUP_TOOLCHAIN := web
export CARGO_PROFILE_WASM_RELEASE_LTO := off
export SITE_LIMIT := 150000
NO_LINTERS := yes
MAKE
