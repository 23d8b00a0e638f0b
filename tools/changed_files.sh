# shellcheck shell=bash disable=SC2034  # the patterns are for the scripts that source this
# Which files a check looks at. Sourced by tools/lint and tools/format; the caller stands in the repository's root.

# The commit that changes are counted from: where this branch left origin/main, else the commit before HEAD; empty when
# there is neither, and then everything has changed.
change_base() {
  local base
  if base=$(git merge-base HEAD origin/main 2>/dev/null) && [ "$base" != "$(git rev-parse HEAD)" ]; then
    echo "$base"
  else
    git rev-parse --verify --quiet 'HEAD~1' || true
  fi
}

# list_files all|changed PATTERN...: existing files, tracked or about to be, one a line.
list_files() {
  local scope=$1 base
  shift
  base=$(change_base)
  {
    if [ "$scope" = all ] || [ -z "$base" ]; then
      git ls-files -- "$@"
    else
      git diff --name-only --diff-filter=d "$base" -- "$@"
    fi
    git ls-files --others --exclude-standard -- "$@"
  } | sort -u | while IFS= read -r file; do [ -f "$file" ] && printf '%s\n' "$file"; done || true
}

cpp_patterns=('*.h' '*.cpp' '*.cu' '*.cuh' '*.metal' '*.mm')
# Scripts without an ending are listed by name.
python_patterns=('*.py' tools/check_cuda tools/demo tools/gpu_session tools/run_tests)
shell_patterns=('*.sh' tools/setup tools/build tools/gpu_pack tools/lint tools/format tools/fuzz tools/lock tools/check_full .ci/run)
