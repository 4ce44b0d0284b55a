#!/usr/bin/env bash
# Installs the Python packages of end2end/drf, the Django backend of the browser tests, into FOLDER.
# Usage: python.sh FOLDER
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. tools/lib.sh

folder=$1
python=python3
# Debian's Python comes without what makes environments.
"$python" -c 'import ensurepip, venv' 2>/dev/null || {
  apt_install "Python (a Django backend of the browser tests runs on it)" python3 python3-venv
  python=/usr/bin/python3
}
rm -rf "$folder"
"$python" -m venv "$folder"
"$folder/bin/python" -m pip install --quiet --disable-pip-version-check --requirement end2end/drf/requirements.txt ||
  fail "pip could not install Django." "check that PyPI can be reached, then try again."
