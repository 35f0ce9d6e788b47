# shellcheck shell=bash
# The drain workers' application on SAE.

WORKER_DEADLINE_S=${SPILLWAY_WORKER_DEADLINE_S:-1800}
# Half of the replicas, then the other half by itself: one of two keeps draining, and the pool's cap holds meanwhile.
WORKER_UPDATE_STRATEGY=${SPILLWAY_WORKER_UPDATE_STRATEGY:-'{"type":"BatchUpdate","batchUpdate":{"batch":2,"releaseType":"auto","batchWaitTime":0}}'}

worker_image() {
  local answer
  answer=$(ask sae GET /pop/v1/sam/app/describeApplicationConfig --AppId "$SPILLWAY_WORKER_APP_ID") || return 1
  jq -er '.Data.ImageUrl' <<<"$answer"
}

# 0 is prepared, 1 runs, 2 is done; all others are ends without success.
change_order_done() {
  local answer
  answer=$(ask sae GET /pop/v1/sam/changeorder/DescribeChangeOrder --ChangeOrderId "$1") || return 2
  case $(jq -r '.Data.Status' <<<"$answer") in
    2) ;;
    0 | 1) return 1 ;;
    *)
      say "change order $1: status $(jq -r '"\(.Data.Status) \(.Data.ErrorMessage // "")"' <<<"$answer")"
      return 2
      ;;
  esac
}

# deploy_workers IMAGE: and wait until every replica runs it.
deploy_workers() {
  local answer order registry=()
  # SAE takes an image from ACR Enterprise by its instance.
  if [[ -n ${SPILLWAY_REGISTRY_INSTANCE-} ]]; then registry=(--AcrInstanceId "$SPILLWAY_REGISTRY_INSTANCE"); fi
  answer=$(change sae POST /pop/v1/sam/app/deployApplication --AppId "$SPILLWAY_WORKER_APP_ID" --ImageUrl "$1" \
    --UpdateStrategy "$WORKER_UPDATE_STRATEGY" "${registry[@]}") || return 1
  if [[ -n $DRY_RUN ]]; then return; fi
  order=$(jq -er '.Data.ChangeOrderId' <<<"$answer") || return 1
  say "change order $order"
  if [[ -n ${SPILLWAY_DEPLOY_STATE-} ]]; then echo "$order" >"$SPILLWAY_DEPLOY_STATE.change-order"; fi
  await "$WORKER_DEADLINE_S" "change order $order" change_order_done "$order" || return 1
}

# The newest change order of the application: of one whose number was never heard.
newest_change_order() {
  local answer
  answer=$(ask sae GET /pop/v1/sam/changeorder/ListChangeOrders --AppId "$SPILLWAY_WORKER_APP_ID" \
    --CurrentPage 1 --PageSize 1) || return 1
  jq -er '.Data.ChangeOrderList[0].ChangeOrderId // ""' <<<"$answer"
}

# Ends a change order that was left running: a new one is refused meanwhile.
end_change_order() {
  local file=${SPILLWAY_DEPLOY_STATE-}.change-order order code=0
  if [[ -s $file ]]; then order=$(<"$file"); else order=$(newest_change_order) || return 1; fi
  [[ -n $order ]] || return 0
  change_order_done "$order" || code=$?
  if ((code == 1)); then
    say "ending change order $order"
    change sae PUT /pop/v1/sam/changeorder/AbortChangeOrder --ChangeOrderId "$order" >/dev/null || return 1
    if [[ -n $DRY_RUN ]]; then return; fi
    # However it ends, it ends.
    await "$WORKER_DEADLINE_S" "change order $order" change_order_ended "$order" || return 1
  fi
  rm -f "$file"
}

change_order_ended() {
  local code=0
  change_order_done "$1" || code=$?
  ((code != 1))
}

# Addresses in the VPC of the workers that run, one a line.
worker_addresses() {
  local groups group answer
  answer=$(ask sae GET /pop/v1/sam/app/describeApplicationGroups --AppId "$SPILLWAY_WORKER_APP_ID") || return 1
  groups=$(jq -er '.Data[].GroupId' <<<"$answer") || return 1
  for group in $groups; do
    answer=$(ask sae GET /pop/v1/sam/app/describeApplicationInstances --AppId "$SPILLWAY_WORKER_APP_ID" --GroupId "$group" \
      --CurrentPage 1 --PageSize 100) || return 1
    jq -r '.Data.Instances[]? | select(.InstanceContainerStatus == "Running") | .InstanceContainerIp // empty' <<<"$answer" || return 1
  done
}
