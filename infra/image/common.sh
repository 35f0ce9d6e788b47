# shellcheck shell=bash
# shellcheck disable=SC2034 # the settings are used by the files that source this one
# Settings and functions for build and check.

REPO=$(readlink -f "$(dirname "${BASH_SOURCE[0]}")/../..")
# Names of packages, binaries and final stages of the Dockerfile.
SERVICES=(ingest-fn drain-worker)
DOCKERFILE=${SPILLWAY_IMAGE_DOCKERFILE:-$REPO/infra/image/Dockerfile}
TARGET_TRIPLE=x86_64-unknown-linux-musl
PROFILE=${SPILLWAY_IMAGE_PROFILE:-dist}
# Folder of images, unpacked files and buildah's storage, separate from other images of the machine.
IMAGE_DIR=${SPILLWAY_IMAGE_DIR:-$(realpath -m "${CARGO_TARGET_DIR:-$REPO/target}")/image}

say() { printf '%s\n' "$*"; }
die() {
  printf '%s: %s\n' "${0##*/}" "$*" >&2
  exit 1
}

need() {
  local hint=$2
  command -v "$1" >/dev/null || die "$1 is missing: $hint"
}

require_service() {
  local service
  for service in "${SERVICES[@]}"; do
    if [[ $service == "$1" ]]; then return; fi
  done
  die "unknown service: $1 (one of: ${SERVICES[*]})"
}

image_name() { printf 'localhost/spillway/%s' "$1"; }
archive_of() { printf '%s/%s.oci.tar' "$IMAGE_DIR" "$1"; }

# Uses no daemon, no overlay mounts and no user namespaces, so that it also runs in a container.
run_buildah() {
  buildah --root "$IMAGE_DIR/storage" --runroot "$IMAGE_DIR/run" --storage-driver vfs "$@"
}

mib() { awk -v bytes="$1" 'BEGIN { printf "%.2f MiB", bytes / 1048576 }'; }
