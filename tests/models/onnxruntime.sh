#!/bin/sh
# Prints the folder with ONNX Runtime and the ONNX checker as Python packages, and downloads them first if needed: tests
# run what we export in them. About 60 MB from PyPI.
#
#   LOGRISK_TEST_CACHE   where downloads are kept; ~/.cache/logrisk-tests by default
set -eu

cache=${LOGRISK_TEST_CACHE:-$HOME/.cache/logrisk-tests}
python=$(python3 -c 'import sys; print("%d.%d" % sys.version_info[:2])')
packages=$cache/onnxruntime-python$python

mkdir -p "$cache"
# Two tests at once: the second waits and finds the work done. Without flock (macOS) both download, and the rename
# below lets one win.
if command -v flock >/dev/null; then
    exec 9>"$packages.lock"
    flock 9
fi

if [ ! -d "$packages" ]; then
    new=$(mktemp -d "$packages.new-XXXXXX")
    trap 'rm -rf "$new"' EXIT
    python3 -m pip install --quiet --only-binary :all: --target "$new/packages" 'onnx>=1.16' 'onnxruntime>=1.18' >&2 || {
        echo "onnxruntime.sh: could not install onnx and onnxruntime from PyPI; is there a network, and python3 with pip?" >&2
        exit 1
    }
    mv "$new/packages" "$packages" 2>/dev/null || [ -d "$packages" ]
fi

echo "$packages"
