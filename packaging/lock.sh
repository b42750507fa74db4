#!/bin/sh
# Resolves the lock files for Python 3.11 to 3.13, with hashes and without the name of any registry. Argument: a Python.
set -eu
cd "$(dirname "$0")/.."
python=$1
"$python" -m pip install --quiet --disable-pip-version-check uv==0.13.9
compile="$python -m uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url"
compile="$compile --no-annotate --upgrade"
$compile --custom-compile-command "make lock" --extra agent --extra hub -o requirements.lock pyproject.toml packaging/build.in
$compile --custom-compile-command "make lock" --extra agent --extra hub --extra dev -c requirements.lock \
    -o requirements-dev.lock pyproject.toml packaging/build.in
$compile --custom-compile-command "make lock" -o packaging/node.lock packaging/node.in
