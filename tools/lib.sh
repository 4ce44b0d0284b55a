# Shared by the set-up scripts: say what is missing and what to do, or install it.

# fail SENTENCE [REMEDY]: stops, telling what is missing and how to get it.
fail() {
  printf '\nStopped: %s\n' "$1" >&2
  [ -z "${2:-}" ] || printf '  What to do: %s\n' "$2" >&2
  exit 1
}

has() { command -v "$1" >/dev/null 2>&1; }

# apt_install WHY PACKAGE…: Debian packages, with sudo when not root.
apt_install() {
  local why=$1
  shift
  local by_hand="as root: apt-get install $*"
  local root=()
  has apt-get || fail "$why is missing and this is not a Debian system." "install it ($*) and try again."
  if [ "$(id -u)" != 0 ]; then
    has sudo || fail "$why is missing, and installing it needs root." "$by_hand"
    root=(sudo)
  fi
  echo "Installing $*"
  { "${root[@]}" apt-get update -qq &&
    "${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends "$@"; } ||
    fail "$why could not be installed." "check the network, then $by_hand"
}
