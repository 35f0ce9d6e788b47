# shellcheck shell=bash
# The function on Function Compute 3.0, its versions and its alias.

FC=/2023-03-30/functions
FUNCTION_ALIAS=${SPILLWAY_FUNCTION_ALIAS:-live}
FUNCTION_DEADLINE_S=${SPILLWAY_FUNCTION_DEADLINE_S:-300}
JSON_BODY="Content-Type=application/json"

# Its container's settings, as they may be sent back: a part of them might replace the whole.
function_container() {
  local answer
  answer=$(ask fc GET "$FC/$SPILLWAY_FUNCTION") || return 1
  jq -ec '.customContainerConfig | del(.resolvedImageUri, .accelerationInfo)' <<<"$answer"
}

function_updated() {
  local answer
  answer=$(ask fc GET "$FC/$SPILLWAY_FUNCTION") || return 2
  case $(jq -r '"\(.state // "Active")/\(.lastUpdateStatus // "Successful")"' <<<"$answer") in
    Active/Successful) ;;
    Failed/* | */Failed)
      say "$SPILLWAY_FUNCTION: $(jq -r '.lastUpdateStatusReason // .stateReason // "the update failed"' <<<"$answer")"
      return 2
      ;;
    *) return 1 ;;
  esac
}

# set_function_image IMAGE: of the version LATEST, which nobody is sent to.
set_function_image() {
  local container body
  container=$(function_container) || return 1
  body=$(jq -c --arg image "$1" '{customContainerConfig: (. + {image: $image})}' <<<"$container") || return 1
  change fc PUT "$FC/$SPILLWAY_FUNCTION" --header "$JSON_BODY" --body "$body" >/dev/null || return 1
  if [[ -n $DRY_RUN ]]; then return; fi
  await "$FUNCTION_DEADLINE_S" "the update of $SPILLWAY_FUNCTION" function_updated || return 1
}

# Version and weights of the alias, as JSON.
alias_now() {
  local answer
  answer=$(ask fc GET "$FC/$SPILLWAY_FUNCTION/aliases/$FUNCTION_ALIAS") || return 1
  jq -ecS '{versionId, additionalVersionWeight: (.additionalVersionWeight // {})} | select(.versionId)' <<<"$answer"
}

set_alias() {
  change fc PUT "$FC/$SPILLWAY_FUNCTION/aliases/$FUNCTION_ALIAS" --header "$JSON_BODY" --body "$1" >/dev/null || return 1
  if [[ -n $DRY_RUN ]]; then return; fi
  # What was sent is not what counts. Weights come back as short floating-point numbers.
  local now
  now=$(alias_now) || return 1
  jq -e --argjson wanted "$1" '
    .versionId == $wanted.versionId
    and (.additionalVersionWeight | keys) == ($wanted.additionalVersionWeight | keys)
    and all(.additionalVersionWeight | to_entries[]; (.value - $wanted.additionalVersionWeight[.key]) | fabs < 0.001)
  ' <<<"$now" >/dev/null || {
    say "the alias $FUNCTION_ALIAS is not as it was set"
    return 1
  }
}

# What is kept warm for the alias, as JSON: `target`, `current`, and the schedule. An alias that never had any has none.
provision_config() {
  local answer errors
  errors=$(mktemp)
  if ! answer=$(ask fc GET "$FC/$SPILLWAY_FUNCTION/provision-config" --qualifier "$FUNCTION_ALIAS" 2>"$errors"); then
    if ! grep -q NotFound "$errors"; then
      cat "$errors" >&2
      rm -f "$errors"
      return 1
    fi
    answer={}
  fi
  rm -f "$errors"
  echo "$answer"
}

warm_now() {
  local answer reason
  answer=$(provision_config) || return 2
  reason=$(jq -r '.currentError // ""' <<<"$answer")
  [[ -z $reason ]] || say "the platform says: $reason"
  jq -e --argjson wanted "$1" '(.current // 0) >= $wanted and (.target // 0) == $wanted' <<<"$answer" >/dev/null
}

# set_warm INSTANCES CONFIG: the whole is sent with another target; without its schedule it would lose that.
set_warm() {
  local body
  body=$(jq -ec --argjson target "$1" '
    {target: $target, alwaysAllocateCPU: (.alwaysAllocateCPU // false), alwaysAllocateGPU: (.alwaysAllocateGPU // false),
     scheduledActions: (.scheduledActions // []), targetTrackingPolicies: (.targetTrackingPolicies // [])}
    + (if has("defaultTarget") then {defaultTarget: $target} else {} end)' <<<"$2") || return 1
  change fc PUT "$FC/$SPILLWAY_FUNCTION/provision-config" --qualifier "$FUNCTION_ALIAS" --header "$JSON_BODY" --body "$body" \
    >/dev/null || return 1
  if [[ -n $DRY_RUN ]]; then return; fi
  await "$FUNCTION_DEADLINE_S" "$1 warm instances" warm_now "$1"
}
