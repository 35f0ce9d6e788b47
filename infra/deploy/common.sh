# shellcheck shell=bash
# shellcheck disable=SC2034 # the settings are used by the files that source this one
# Settings, messages and calls that the deploy scripts share.

DEPLOY=$(readlink -f "$(dirname "${BASH_SOURCE[0]}")")
REPO=$(readlink -f "$DEPLOY/../..")

# Longest that one call of the vendor's CLI may take, seconds, and how often a question is asked before it counts as
# failed. What changes something is asked once: whether it took effect is then found out, not guessed.
CALL_TIMEOUT_S=${SPILLWAY_DEPLOY_CALL_TIMEOUT_S:-60}
ATTEMPTS=${SPILLWAY_DEPLOY_ATTEMPTS:-3}
# Between two looks at something that takes its time, seconds.
POLL_S=${SPILLWAY_DEPLOY_POLL_S:-5}
DRY_RUN=${SPILLWAY_DEPLOY_DRY_RUN:-}

# Progress goes to standard error: standard output is for results.
say() { printf '%s\n' "$*" >&2; }
die() {
  printf '%s: %s\n' "${0##*/}" "$*" >&2
  exit 1
}

need() {
  local program
  for program in "$@"; do
    command -v "$program" >/dev/null || die "$program is missing"
  done
}

# require NAME...: settings that must not be empty.
require() {
  local name missing=()
  for name in "$@"; do
    [[ -n ${!name-} ]] || missing+=("$name")
  done
  ((${#missing[@]} == 0)) || die "not set: ${missing[*]} (see infra/deploy/README.md)"
}

# An image by its digest, or by a tag where SPILLWAY_IMAGE_REF says so; never one that means another image tomorrow.
require_image() {
  case $1 in
    *[!a-zA-Z0-9./:@_-]*) die "not an image: $1" ;;
    *@sha256:*) [[ ${1##*@sha256:} =~ ^[0-9a-f]{64}$ ]] || die "not a digest: $1" ;;
    *:latest) die "not a fixed image: $1" ;;
    */*:*) [[ ${SPILLWAY_IMAGE_REF:-digest} == tag ]] || die "not by digest: $1 (SPILLWAY_IMAGE_REF=tag allows tags)" ;;
    *) die "not a fixed image: $1" ;;
  esac
}

cloud() {
  # In the foreground, that is, in the caller's process group: whoever ends that ends the call.
  timeout --foreground --kill-after=5 "$CALL_TIMEOUT_S" aliyun "$@" --region "$SPILLWAY_REGION"
}

# ask ARGUMENT...: a call that changes nothing.
ask() {
  local attempt=1
  until cloud "$@"; do
    ((attempt < ATTEMPTS)) || return 1
    attempt=$((attempt + 1))
    sleep "$POLL_S"
  done
}

# change ARGUMENT...: a call that changes something.
change() {
  if [[ -n $DRY_RUN ]]; then
    say "would call: aliyun $*"
    return
  fi
  cloud "$@"
}

# await SECONDS WHAT COMMAND...: until the command says 0. It says 1 for "not yet", anything else ends it.
await() {
  local deadline=$((SECONDS + $1)) what=$2 code
  shift 2
  while :; do
    code=0
    "$@" || code=$?
    case $code in
      0) return ;;
      1) ;;
      *) return "$code" ;;
    esac
    if ((SECONDS >= deadline)); then
      say "$what: not done in time"
      return 3
    fi
    sleep "$POLL_S"
  done
}

# remember KIND VALUE...: what is about to be changed and how it was before, so that rollback can undo it. Written before
# the change: whether a call that failed took effect is not known.
remember() {
  [[ -n ${SPILLWAY_DEPLOY_STATE-} && -z $DRY_RUN ]] || return 0
  local IFS=$'\t'
  printf '%s\n' "$*" >>"$SPILLWAY_DEPLOY_STATE"
}

# remembered KIND: what is remembered of this kind, if anything is.
remembered() {
  [[ -n ${SPILLWAY_DEPLOY_STATE-} && -f $SPILLWAY_DEPLOY_STATE ]] || return 1
  grep -P "^$1\t" "$SPILLWAY_DEPLOY_STATE"
}

# The first lines of the calling script, without the hash signs.
usage() {
  sed -n '2,/^[^#]/{/^#/!d;s/^# \{0,1\}//p}' "$0"
}

if [[ ${1-} == --help || ${1-} == -h ]]; then
  usage
  exit
fi
