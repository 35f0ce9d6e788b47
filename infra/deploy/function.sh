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

# What is kept warm for the alias, as JSON: `defaultTarget` is what was set, `target` what the platform aims at now (the
# greatest of the schedule's active policies, or without any the default), `current` what is there, and the schedule. An
# alias that never had any has none.
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

# The last answer that warm_now had, and how many of them said that the schedule holds the number down: the first may only
# be early.
WARM_ANSWER={}
WARM_HELD=0

# Enough are there, and the default is as it was set. More may be there: what the schedule asks for is not ours to take.
warm_now() {
  local reason
  WARM_ANSWER=$(provision_config) || return 2
  reason=$(jq -r '.currentError // ""' <<<"$WARM_ANSWER")
  [[ -z $reason ]] || say "the platform says: $reason"
  jq -e --argjson wanted "$1" '
    (.current // 0) >= $wanted
    # An answer without it leaves out a zero, or is of before there was a default: then the target is what was set.
    and (if has("defaultTarget") then .defaultTarget == $wanted else (.target // 0) >= $wanted end)
  ' <<<"$WARM_ANSWER" >/dev/null && return
  jq -e --argjson wanted "$1" '.defaultTarget == $wanted and (.target // 0) < $wanted' <<<"$WARM_ANSWER" >/dev/null &&
    WARM_HELD=$((WARM_HELD + 1))
  if ((WARM_HELD == 2)); then
    say "$1 are set, and the platform still aims at $(jq '.target // 0' <<<"$WARM_ANSWER"): while a policy of the" \
      "schedule is active it alone counts. If this stays so, more is to be had by the schedule only (sale_windows)"
    WARM_HELD=3
  fi
  return 1
}

# set_warm INSTANCES CONFIG: the whole is sent with another default; without its schedule it would lose that. `target` is
# the default by its old name: as it was read it is the schedule's, and must not become what is set.
set_warm() {
  local body
  body=$(jq -ec --argjson wanted "$1" '
    {defaultTarget: $wanted, target: $wanted,
     alwaysAllocateCPU: (.alwaysAllocateCPU // false), alwaysAllocateGPU: (.alwaysAllocateGPU // false),
     scheduledActions: (.scheduledActions // []),
     targetTrackingPolicies: (.targetTrackingPolicies // [])}' <<<"$2") || return 1
  change fc PUT "$FC/$SPILLWAY_FUNCTION/provision-config" --qualifier "$FUNCTION_ALIAS" --header "$JSON_BODY" --body "$body" \
    >/dev/null || return 1
  if [[ -n $DRY_RUN ]]; then return; fi
  await "$FUNCTION_DEADLINE_S" "$1 warm instances" warm_now "$1"
}
