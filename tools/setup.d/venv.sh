# shellcheck shell=bash disable=SC2034,SC2154  # the parts of tools/setup share its variables
# Virtual environments, each from one lock file with hashes: MLX alone in .venv*, tools in .venv-test, references in
# .venv-golden.

python_wanted=3.11

# Prints the Python that makes the environments; PYTHON overrides.
find_python() {
  local name
  for name in ${PYTHON:-python3 python3.13 python3.12 python3.11}; do
    have "$name" && "$name" -c "import sys; sys.exit(sys.version_info[:2] < (${python_wanted/./, }))" 2>/dev/null &&
      command -v "$name" && return
  done
  return 1
}

# make_venv FOLDER REQUIREMENTS WHAT
make_venv() {
  local folder=$1 requirements=$2 what=$3 python key
  key="$(sha256_of "$requirements") $folder"
  if stamp_holds "$folder/.mlx-serving-stamp" "$key" && "$folder/bin/python" -c '' 2>/dev/null; then return; fi
  python=$(find_python) ||
    die "Python $python_wanted or later was not found" "apt-get install python3 python3-venv, or set PYTHON to one"
  "$python" -c 'import ensurepip, venv' 2>/dev/null ||
    die "$python cannot make virtual environments" "apt-get install python3-venv (for this Python's version)"
  if ! "$folder/bin/python" -m pip --version >/dev/null 2>&1; then
    "$python" -m venv --clear "$folder" || die "could not make $folder" "check that the folder can be written"
  fi
  say "$what into ${folder#"$root"/} ($("$folder/bin/python" --version), ${requirements#"$root"/})"
  rm -f "$folder/.mlx-serving-stamp"
  "$folder/bin/python" -m pip --disable-pip-version-check --no-input install \
    --require-hashes --only-binary :all: -r "$requirements" ||
    die "pip could not install ${requirements#"$root"/}" \
      "read pip's message above: without a network set up once with one; 'no matching distribution' means that this Python \
or platform has no wheel (MLX has them for Linux x86_64 and aarch64 with glibc 2.35, macOS 14 arm64): set PYTHON to another"
  write_stamp "$folder/.mlx-serving-stamp" "$key"
}

step_venv() {
  local config
  make_venv "$venv" "$root/requirements/$backend.txt" "installing MLX for $backend"
  for config in "$venv"/lib/python3*/site-packages/mlx/share/cmake/MLX/MLXConfig.cmake; do
    [ -f "$config" ] ||
      die "$venv carries no C++ side of MLX" "rm -rf $venv and run make again; two MLX wheels cannot share one environment"
  done
}

step_test_venv() { make_venv "$root/.venv-test" "$root/requirements/test.txt" "installing the test tools"; }
step_docs_venv() { make_venv "$root/.venv-docs" "$root/requirements/docs.txt" "installing the tools of the documentation"; }
step_golden_venv() { make_venv "$root/.venv-golden" "$root/requirements/golden.txt" "installing the references (2 GB)"; }
step_python_venv() { make_venv "$root/.venv-python" "$root/requirements/python.txt" "installing the Python package's tools"; }
