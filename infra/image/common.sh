# shellcheck shell=bash
# shellcheck disable=SC2034 # the settings are used by the files that source this one
# Settings and messages that build and check share.

REPO=$(readlink -f "$(dirname "${BASH_SOURCE[0]}")/../..")
TARGET_TRIPLE=x86_64-unknown-linux-musl
PROFILE=${SPILLWAY_IMAGE_PROFILE:-dist}
# Where images and unpacked files go; buildah's own storage too, so that nobody else's images are touched.
IMAGE_DIR=${SPILLWAY_IMAGE_DIR:-$(realpath -m "${CARGO_TARGET_DIR:-$REPO/target}")/image}
IMAGE=localhost/spillway/ingest-fn
ARCHIVE=$IMAGE_DIR/ingest-fn.oci.tar

say() { printf '%s\n' "$*"; }
die() {
  printf '%s: %s\n' "${0##*/}" "$*" >&2
  exit 1
}

need() {
  local hint=$2
  command -v "$1" >/dev/null || die "$1 is missing: $hint"
}

# Without a daemon, without overlay mounts and without user namespaces, so that it runs inside a container too.
run_buildah() {
  buildah --root "$IMAGE_DIR/storage" --runroot "$IMAGE_DIR/run" --storage-driver vfs "$@"
}

mib() { awk -v bytes="$1" 'BEGIN { printf "%.2f MiB", bytes / 1048576 }'; }
