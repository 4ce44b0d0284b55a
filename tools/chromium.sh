#!/usr/bin/env bash
# Makes sure that there is a Chromium for the browser tests. CHROMIUM names another one.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. tools/lib.sh

[ -x "${CHROMIUM:-/usr/bin/chromium}" ] || apt_install "Chromium (the browser tests drive it)" chromium
