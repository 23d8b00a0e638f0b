# shellcheck shell=bash disable=SC2034,SC2154  # the parts of tools/setup share its variables
# What the set-up steps share: messages, paths by back end, stamps. Defines functions and constants only.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)

# The back end picks the virtual environment and the build folder: none in the name for cpu, its own name otherwise.
default_backend() { if [ "$(uname -s)" = Darwin ]; then echo metal; else echo cpu; fi; }
backend=${MLX_SERVING_BACKEND:-$(default_backend)}
case $backend in
  cpu) suffix= ;;
  cuda13 | metal) suffix=-$backend ;;
  *)
    echo "setup: MLX_SERVING_BACKEND is '$backend'; it must be cpu, cuda13 or metal" >&2
    exit 2
    ;;
esac
venv=$root/.venv$suffix
models_home=${MLX_SERVING_HOME:-${HOME:-/nonexistent}/.cache/mlx-serving}
stamps=$root/build/.setup

say() { printf 'setup: %s\n' "$*"; }

# die WHAT MEND: one failing step, and what the reader does about it.
die() {
  printf 'setup: %s\n  mend: %s\n' "$1" "$2" >&2
  exit 1
}

have() { command -v "$1" >/dev/null 2>&1; }

sha256_of() { if have sha256sum; then sha256sum "$@"; else shasum -a 256 "$@"; fi | cut -d ' ' -f 1; }

# version_at_least FOUND WANTED, both dotted numbers.
version_at_least() { [ "$(printf '%s\n%s\n' "$2" "$1" | sort -V | head -n 1)" = "$2" ]; }

# A stamp holds a key that names everything its step depends on; the step is skipped while the key is unchanged.
stamp_holds() { [ -f "$1" ] && [ "$(cat "$1")" = "$2" ]; }
write_stamp() { mkdir -p "$(dirname "$1")" && printf '%s\n' "$2" >"$1"; }

size_of() { stat -c %s "$1" 2>/dev/null || stat -f %z "$1"; }
modified_of() { stat -c %Y "$1" 2>/dev/null || stat -f %m "$1"; }
