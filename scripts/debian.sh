# Sourced by the other scripts: installs Debian packages, as root or through sudo. Not meant to be run.

# Runs a command as root; fails when there is no way to.
as_root() {
    if [ "$(id -u)" = 0 ]; then
        "$@"
    elif command -v sudo >/dev/null && { sudo -n true 2>/dev/null || [ -t 0 ]; }; then
        sudo "$@"
    else
        echo "not root, and sudo does not help" >&2
        return 1
    fi
}

# Installs packages without starting the services that some of them bring. In a shell of its own, for the sake of its trap.
debian_install() (
    command -v apt-get >/dev/null || { echo "no apt-get here; install by hand: $*" >&2; exit 1; }
    echo "installing: $*"
    # Debian asks this script before it starts a service; 101 is no.
    policy=/usr/sbin/policy-rc.d
    if [ ! -e "$policy" ]; then
        trap 'as_root rm -f "$policy"' EXIT
        printf '#!/bin/sh\nexit 101\n' | as_root install -m 755 /dev/stdin "$policy" || exit 1
    fi
    install=(env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@")
    as_root "${install[@]}" || { as_root apt-get update -qq && as_root "${install[@]}"; }
)

# Makes sure of cargo, a C compiler, make and a C library's headers: what a build of the workspace takes.
need_toolchain() {
    if ! command -v cargo >/dev/null; then
        echo "cargo is missing: install a Rust toolchain of at least 1.94, see https://rustup.rs" >&2
        return 1
    fi
    # Some crates compile C: zstd, jemalloc, ring.
    if ! command -v cc >/dev/null || ! command -v make >/dev/null; then
        debian_install gcc libc6-dev make || { echo "a C compiler and make are missing" >&2; return 1; }
    fi
}
