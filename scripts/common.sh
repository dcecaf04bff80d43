# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# Shared by the scripts of this folder: sourced, not run. Sets $root to the top
# of the tree and goes there, so that every script works from any directory.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root" || exit

# What is happening now, apart from the output of the tools.
say() {
    printf '%s==> %s%s\n' "$bold" "$*" "$plain"
}

# Ends the script: what is wrong, and what would be right.
die() {
    printf 'error: %s\n' "$*" >&2
    exit 1
}

is_root() {
    [[ $(id -u) -eq 0 ]]
}

# The first comment block of the calling script is its help text.
usage() {
    sed -n '/^# SPDX/d; 2,/^$/ { s/^# \{0,1\}//; p; }' "$0"
}

# git, also where the tree belongs to somebody else than the user (sudo, CI).
git_here() {
    git -c safe.directory="$root" "$@"
}

bold='' plain=''
if [[ -t 1 ]]; then
    bold=$'\e[1m' plain=$'\e[0m'
fi
