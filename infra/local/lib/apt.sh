# shellcheck shell=bash
# Installs packages of the distribution; .ci/run does so too.

# An index that cannot be read is an error, and a lock that another process holds is waited for. An apt that knows none of
# these keys ignores them.
APT=(apt-get -qq -o APT::Update::Error-Mode=any -o Acquire::Retries=5 -o DPkg::Lock::Timeout=300)

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

# with_apt COMMAND...: reads the indexes and runs the command; three times at most, because a mirror may fail for a moment.
with_apt() {
  local try
  for try in 1 2 3; do
    if as_root "${APT[@]}" update && "$@"; then return; fi
    ((try == 3)) || sleep $((try * 10))
  done
  echo "failed three times: $*" >&2
  return 1
}

# apt_install PACKAGE...: at run level 1 no package starts a service of its own.
apt_install() {
  with_apt as_root env RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive "${APT[@]}" install -y --no-install-recommends "$@"
}
