# shellcheck shell=bash disable=SC2034,SC2154  # the parts of tools/setup share its variables
# System packages: apt-get on Debian and its relatives, a message for Homebrew on macOS. Nothing is called when nothing is
# missing, so a machine that is set up needs neither root nor a network.

# probe=package[|other name]: the probe tells whether the need is met, by whichever package or by the user's own build.
build_needs=(
  cmd:c++'=build-essential' cmd:cmake=cmake cmd:ninja=ninja-build cmd:ccache=ccache cmd:git=git cmd:pkg-config=pkg-config
  cmd:curl=curl venv=python3-venv file:/etc/ssl/certs/ca-certificates.crt=ca-certificates
  dpkg='libboost1.81-dev|libboost-dev' dpkg='libboost-json1.81-dev|libboost-json-dev'
  dpkg='libboost-system1.81-dev|libboost-system-dev'
  dpkg=libspdlog-dev dpkg=libfmt-dev dpkg=libcli11-dev dpkg=libedit-dev dpkg=libgtest-dev dpkg=libxxhash-dev dpkg=libsqlite3-dev dpkg=libssl-dev dpkg=libyaml-cpp-dev dpkg=prometheus-cpp-dev
)
lint_needs=(cmd:clang-format-19=clang-format-19 cmd:clang-tidy-19=clang-tidy-19 cmd:shellcheck=shellcheck)
fuzz_needs=(cmd:clang++-19=clang-19 dpkg=libclang-rt-19-dev)
monitoring_needs=(cmd:promtool=prometheus cmd:prometheus=prometheus)
brew_names="cmake ninja ccache boost fmt spdlog cli11 libedit googletest sqlite openssl@3 yaml-cpp pkgconf xxhash prometheus-cpp"

installed() { [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]; }
candidate() { apt-cache policy "$1" 2>/dev/null | grep -q 'Candidate: [^(]'; }

# is_met PROBE PACKAGES
is_met() {
  local name
  case $1 in
    cmd:*) have "${1#cmd:}" ;;
    file:*) [ -e "${1#file:}" ] ;;
    venv) find_python >/dev/null && "$(find_python)" -c 'import ensurepip, venv' 2>/dev/null ;;
    dpkg)
      for name in ${2//|/ }; do installed "$name" && return 0; done
      return 1
      ;;
  esac
}

# Prints, one a line, the package specs (with alternatives) behind unmet needs.
unmet() {
  local need
  for need in "$@"; do is_met "${need%%=*}" "${need#*=}" || echo "${need#*=}"; done
}

# The first name that this distribution carries; the first one of all when none is known yet.
choose() {
  local name
  for name in ${1//|/ }; do candidate "$name" && echo "$name" && return; done
  echo "${1%%|*}"
}

install_with_apt() { # specs...
  local spec names=() as_root=() update_first=
  for spec in "$@"; do candidate "${spec%%|*}" || update_first=yes; done
  if [ "$(id -u)" -ne 0 ]; then
    if have sudo && sudo -n true 2>/dev/null; then
      as_root=(sudo -n)
    elif have sudo && [ -t 0 ]; then
      as_root=(sudo)
    else
      die "these Debian packages are missing, and there is neither root nor sudo to install them: ${*%%|*}" \
        "ask an administrator to run: apt-get update && apt-get install -y --no-install-recommends ${*%%|*}"
    fi
  fi
  as_root+=(env DEBIAN_FRONTEND=noninteractive apt-get -q -o DPkg::Lock::Timeout=300)
  if [ -n "$update_first" ]; then
    say "refreshing the package lists"
    "${as_root[@]}" update || die "apt-get update failed" "check the network and /etc/apt/sources.list, then run make again"
  fi
  for spec in "$@"; do names+=("$(choose "$spec")"); done
  say "installing Debian packages: ${names[*]}"
  "${as_root[@]}" install -y --no-install-recommends "${names[@]}" && return
  # Lists can be older than the mirror.
  { [ -z "$update_first" ] && "${as_root[@]}" update && "${as_root[@]}" install -y --no-install-recommends "${names[@]}"; } ||
    die "apt-get could not install: ${names[*]}" "read apt-get's message above; Debian 12 or later has all of them"
}

install_with_brew() {
  local missing=() name
  have brew || die "Homebrew is missing" "install it from https://brew.sh, then: brew install $brew_names"
  for name in $brew_names; do [ -d "$(brew --prefix)/opt/$name" ] || missing+=("$name"); done
  [ ${#missing[@]} -eq 0 ] && return
  say "installing with Homebrew: ${missing[*]}"
  brew install "${missing[@]}" || die "brew install failed" "read its message above; by hand: brew install ${missing[*]}"
}

# ensure_packages NEEDS...
ensure_packages() {
  [ -z "${MLX_SERVING_SKIP_PACKAGES:-}" ] || return 0
  if [ "$(uname -s)" = Darwin ]; then
    install_with_brew
    return
  fi
  local missing
  { have dpkg-query && have apt-get; } ||
    die "this system has no apt-get, the only package manager the set-up knows on Linux" \
      "install what stands for these Debian packages, then set MLX_SERVING_SKIP_PACKAGES=1: ${*#*=}"
  missing=$(unmet "$@")
  # shellcheck disable=SC2086  # one word a package
  [ -z "$missing" ] || install_with_apt $missing
}

step_packages() { ensure_packages "${build_needs[@]}"; }
step_lint_packages() { ensure_packages "${lint_needs[@]}"; }
step_fuzz_packages() { ensure_packages "${fuzz_needs[@]}"; }
step_monitoring_packages() { ensure_packages "${monitoring_needs[@]}"; }
