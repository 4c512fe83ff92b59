# Shared by the scripts: strict mode, the project's root, root rights where they are needed.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

say() { printf '\033[1m%s\033[0m\n' "$*" >&2; }
fail() { printf '%s\n' "$*" >&2; exit 1; }

# Runs a command as root, whether we are root or may use sudo.
as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"
  elif command -v sudo >/dev/null; then sudo "$@"
  else fail "This needs root rights to install packages: run it as root, or install sudo."
  fi
}

# Two compilers at once fit two cores and their memory; more only where there is more.
jobs() { nproc; }
