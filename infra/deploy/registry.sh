# shellcheck shell=bash
# Login to the registry for the duration of a script.

# registry_login HOST COMMAND...: passes the registry's token to `COMMAND… login` through standard input, which no process
# list shows. Callers check SPILLWAY_REGISTRY_INSTANCE first: without it, the login must exist already.
registry_login() {
  local host=$1 answer
  shift
  answer=$(ask cr GetAuthorizationToken --InstanceId "$SPILLWAY_REGISTRY_INSTANCE") || {
    say "cannot get a token for the registry"
    return 1
  }
  jq -er .AuthorizationToken <<<"$answer" |
    "$1" login "${@:2}" --username "$(jq -er .TempUsername <<<"$answer")" --password-stdin "$host" >&2
}
