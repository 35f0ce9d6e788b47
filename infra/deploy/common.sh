# shellcheck shell=bash
# shellcheck disable=SC2034 # the settings are used by the files that source this one
# Settings and functions of the deploy scripts.

DEPLOY=$(readlink -f "$(dirname "${BASH_SOURCE[0]}")")
REPO=$(readlink -f "$DEPLOY/../..")

# Time-out of a call of the vendor's CLI, seconds, and maximum attempts of a read call. Changes have one attempt: the
# scripts then read whether the change took effect.
CALL_TIMEOUT_S=${SPILLWAY_DEPLOY_CALL_TIMEOUT_S:-60}
ATTEMPTS=${SPILLWAY_DEPLOY_ATTEMPTS:-3}
# Interval of polls, seconds.
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

# require NAME...: fails if a setting is empty.
require() {
  local name missing=()
  for name in "$@"; do
    [[ -n ${!name-} ]] || missing+=("$name")
  done
  ((${#missing[@]} == 0)) || die "not set: ${missing[*]} (see infra/deploy/README.md)"
}

# Accepts an image by digest, or by tag with SPILLWAY_IMAGE_REF=tag; never by a mutable name.
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
  # In the foreground, in the caller's process group: a signal to the group also stops the call.
  timeout --foreground --kill-after=5 "$CALL_TIMEOUT_S" aliyun "$@" --region "$SPILLWAY_REGION"
}

# ask ARGUMENT...: a read call.
ask() {
  local attempt=1
  until cloud "$@"; do
    ((attempt < ATTEMPTS)) || return 1
    attempt=$((attempt + 1))
    sleep "$POLL_S"
  done
}

# change ARGUMENT...: a call that makes a change.
change() {
  if [[ -n $DRY_RUN ]]; then
    say "would call: aliyun $*"
    return
  fi
  cloud "$@"
}

# await SECONDS WHAT COMMAND...: runs the command until it returns 0. 1 means "not yet"; any other code stops the wait.
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

# remember KIND VALUE...: records the previous value for rollback. Call it before the change, because a failed call may
# have taken effect.
remember() {
  [[ -n ${SPILLWAY_DEPLOY_STATE-} && -z $DRY_RUN ]] || return 0
  local IFS=$'\t'
  printf '%s\n' "$*" >>"$SPILLWAY_DEPLOY_STATE"
}

# remembered KIND: prints the recorded values of this kind; fails if there are none.
remembered() {
  [[ -n ${SPILLWAY_DEPLOY_STATE-} && -f $SPILLWAY_DEPLOY_STATE ]] || return 1
  grep -P "^$1\t" "$SPILLWAY_DEPLOY_STATE"
}

# Prints the header comment of the calling script.
usage() {
  sed -n '2,/^[^#]/{/^#/!d;s/^# \{0,1\}//p}' "$0"
}

if [[ ${1-} == --help || ${1-} == -h ]]; then
  usage
  exit
fi
