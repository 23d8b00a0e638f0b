# shellcheck shell=bash disable=SC2154  # the parts of tools/setup share its variables
# The official clients for Node, from their lock file; once they are there, tests need no network.

node_needs=(cmd:node=nodejs cmd:npm=npm)

step_node_clients() {
  local folder=$root/tests/clients/node key
  key="$(sha256_of "$folder/package-lock.json") $folder"
  if stamp_holds "$folder/node_modules/.mlx-serving-stamp" "$key"; then return; fi
  ensure_packages "${node_needs[@]}"
  say "installing the Node clients of the tests into tests/clients/node"
  (cd "$folder" && npm ci --no-audit --no-fund --ignore-scripts --loglevel=error) ||
    die "npm could not install $folder" "read its message above; without a network set up once with one"
  write_stamp "$folder/node_modules/.mlx-serving-stamp" "$key"
}

# A browser for tests/e2e/test_page.py.
step_browser() {
  [ "$(uname -s)" = Darwin ] && die "the browser's tests run on Linux only" "run them on Linux"
  ensure_packages cmd:chromium=chromium cmd:chromedriver=chromium-driver
}
