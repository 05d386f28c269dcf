#!/usr/bin/env bash
# Prints the first Python of this machine that is 3.11 or newer; exits 1 where there is none.
set -euo pipefail

for name in python3.11 python3 python3.12 python3.13 python3.14 python; do
    if command -v "$name" >/dev/null 2>&1 &&
        "$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then
        # sys.executable rather than the name: a version manager's shim follows the folder it's called in.
        "$name" -c 'import sys; print(sys.executable)'
        exit 0
    fi
done
exit 1
