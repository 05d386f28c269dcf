#!/usr/bin/env bash
# Says in one line what this machine lacks to build Luokkasilta, and fails; silent when nothing is missing.
# These are tools with a home of their own (rustup, nvm, pyenv), so we name them and don't install them.
set -euo pipefail
cd "$(dirname "$0")"

node_wanted=20.19 # web/package.json says the same
rust_wanted=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' ../../media/rust/Cargo.toml)

# at_least WANTED VERSION: compares MAJOR.MINOR.
at_least() {
    local wanted=${1%.*} wanted_minor=${1#*.} major=${2%%.*} rest=${2#*.}
    ((major > wanted || (major == wanted && ${rest%%.*} >= wanted_minor)))
}

missing=()
./python.sh >/dev/null || missing+=("Python 3.11 or newer (python3)")
if ! command -v cargo >/dev/null 2>&1; then
    missing+=("cargo (Rust's build tool; see rustup.rs)")
elif ! cargo --version >/dev/null 2>&1; then
    # rustup keeps its choice of toolchain under HOME: with another HOME the command is there and can't run.
    missing+=("a working cargo (it is installed but has no toolchain for HOME=$HOME: set RUSTUP_HOME, or run rustup default stable)")
elif version=$(cargo --version | cut -d' ' -f2) && ! at_least "$rust_wanted" "$version"; then
    missing+=("cargo $rust_wanted or newer (this one is $version)")
fi
if ! command -v node >/dev/null 2>&1; then
    missing+=("node $node_wanted or newer (nodejs)")
elif ! version=$(node --version 2>/dev/null) || ! at_least "$node_wanted" "${version#v}"; then
    missing+=("node $node_wanted or newer (this one is ${version:-broken})")
elif ! command -v npm >/dev/null 2>&1; then
    missing+=("npm (it comes with node)")
fi

if ((${#missing[@]})); then
    line=$(printf '%s; ' "${missing[@]}")
    echo "Luokkasilta can't be built here. Missing: ${line%; }" >&2
    exit 1
fi
