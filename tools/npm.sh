#!/usr/bin/env bash
# Installs npm packages into FOLDER/node_modules, at exactly the versions named and without a lock
# file: one written on this system would lack the optional packages of every other.
# Usage: npm.sh FOLDER PACKAGE@VERSION…
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. tools/lib.sh

folder=$1
shift
export PLAYWRIGHT_SKIP_BROWSER_DOWNLOAD=1
npm install --prefix "$folder" --no-save --no-package-lock --no-audit --no-fund --no-update-notifier --loglevel=error "$@" ||
  fail "npm could not install $*." "check that the npm registry can be reached, then try again."
