# shellcheck shell=bash
# Installs packages of the distribution; .ci/run does so too.

# A lock that another process holds is waited for. An apt that does not know these keys ignores them.
APT=(apt-get -qq -o Acquire::Retries=5 -o DPkg::Lock::Timeout=300)

as_root() {
  if ((EUID == 0)); then
    "$@"
  elif command -v sudo >/dev/null; then
    sudo -n "$@"
  else
    echo "root rights are needed for: $*" >&2
    return 1
  fi
}

# with_apt COMMAND...: reads the indexes and runs the command; three times at most, because a mirror may fail for a moment. An
# index that cannot be read is no failure by itself: it may be one that the command does not need.
with_apt() {
  local try
  for try in 1 2 3; do
    as_root "${APT[@]}" update || true
    if "$@"; then return; fi
    ((try == 3)) || sleep $((try * 10))
  done
  echo "failed three times: $*" >&2
  return 1
}

# apt_install PACKAGE...: at run level 1 no package starts a service of its own.
apt_install() {
  with_apt as_root env RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive "${APT[@]}" install -y --no-install-recommends "$@"
}
