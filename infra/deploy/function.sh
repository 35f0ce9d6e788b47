# shellcheck shell=bash
# The function on Function Compute 3.0, with its versions and its alias.

FC=/2023-03-30/functions
FUNCTION_ALIAS=${SPILLWAY_FUNCTION_ALIAS:-live}
FUNCTION_DEADLINE_S=${SPILLWAY_FUNCTION_DEADLINE_S:-300}
JSON_BODY="Content-Type=application/json"

# All container settings that may be sent: partial settings might replace the whole.
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

# set_function_image IMAGE: changes the version LATEST, which gets no requests.
set_function_image() {
  local container body
  container=$(function_container) || return 1
  body=$(jq -c --arg image "$1" '{customContainerConfig: (. + {image: $image})}' <<<"$container") || return 1
  change fc PUT "$FC/$SPILLWAY_FUNCTION" --header "$JSON_BODY" --body "$body" >/dev/null || return 1
  if [[ -n $DRY_RUN ]]; then return; fi
  await "$FUNCTION_DEADLINE_S" "the update of $SPILLWAY_FUNCTION" function_updated || return 1
}

# Prints version and weights of the alias as JSON.
alias_now() {
  local answer
  answer=$(ask fc GET "$FC/$SPILLWAY_FUNCTION/aliases/$FUNCTION_ALIAS") || return 1
  jq -ecS '{versionId, additionalVersionWeight: (.additionalVersionWeight // {})} | select(.versionId)' <<<"$answer"
}

set_alias() {
  change fc PUT "$FC/$SPILLWAY_FUNCTION/aliases/$FUNCTION_ALIAS" --header "$JSON_BODY" --body "$1" >/dev/null || return 1
  if [[ -n $DRY_RUN ]]; then return; fi
  # Reads the alias back. Weights are returned as short floating-point numbers.
  local now
  now=$(alias_now) || return 1
  jq -e --argjson wanted "$1" '
    .versionId == $wanted.versionId
    and (.additionalVersionWeight | keys) == ($wanted.additionalVersionWeight | keys)
    and all(.additionalVersionWeight | to_entries[]; (.value - $wanted.additionalVersionWeight[.key]) | fabs < 0.001)
  ' <<<"$now" >/dev/null || {
    say "the alias $FUNCTION_ALIAS does not have the new value"
    return 1
  }
}

# Prints the alias's provision configuration as JSON: `defaultTarget` is the value set by hand, `target` the platform's
# current target (the largest of the schedule's active policies, else the default), `current` the number of instances,
# and the schedule. An alias without a configuration gets {}.
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

# The last answer in warm_now, and the number of answers in which the schedule limits the target. The first may only
# be too early.
WARM_ANSWER={}
WARM_HELD=0

# Returns 0 if there are enough instances and the default is set. The schedule may add more instances.
warm_now() {
  local reason
  WARM_ANSWER=$(provision_config) || return 2
  reason=$(jq -r '.currentError // ""' <<<"$WARM_ANSWER")
  [[ -z $reason ]] || say "the platform reports: $reason"
  jq -e --argjson wanted "$1" '
    (.current // 0) >= $wanted
    # An answer without defaultTarget omits a zero, or is of an old API: then target is the value set.
    and (if has("defaultTarget") then .defaultTarget == $wanted else (.target // 0) >= $wanted end)
  ' <<<"$WARM_ANSWER" >/dev/null && return
  jq -e --argjson wanted "$1" '.defaultTarget == $wanted and (.target // 0) < $wanted' <<<"$WARM_ANSWER" >/dev/null &&
    WARM_HELD=$((WARM_HELD + 1))
  if ((WARM_HELD == 2)); then
    say "$1 are set, but the platform's target is still $(jq '.target // 0' <<<"$WARM_ANSWER"): while a policy of the" \
      "schedule is active, only the policy applies. If this persists, change the schedule (sale_windows)"
    WARM_HELD=3
  fi
  return 1
}

# set_warm INSTANCES CONFIG: sends the whole configuration with another default; a request without the schedule would
# delete it. In a request `target` is the old name of the default, so the target that was read must not be sent.
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
