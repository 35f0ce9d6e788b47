# shellcheck shell=bash
# Logging in to the registry, for as long as a script runs.

# registry_login HOST COMMAND...: hands the registry's token to `COMMAND… login` by standard input, which no process list
# shows. For callers that have looked: without SPILLWAY_REGISTRY_INSTANCE somebody has logged in beforehand.
registry_login() {
  local host=$1 answer
  shift
  answer=$(ask cr GetAuthorizationToken --InstanceId "$SPILLWAY_REGISTRY_INSTANCE") || {
    say "the registry gives no token"
    return 1
  }
  jq -er .AuthorizationToken <<<"$answer" |
    "$1" login "${@:2}" --username "$(jq -er .TempUsername <<<"$answer")" --password-stdin "$host" >&2
}
