# shellcheck shell=bash
# The drain workers' application on SAE.

WORKER_DEADLINE_S=${SPILLWAY_WORKER_DEADLINE_S:-1800}
# Two batches without a manual step: half of the workers always drain, and the pool's cap holds.
WORKER_UPDATE_STRATEGY=${SPILLWAY_WORKER_UPDATE_STRATEGY:-'{"type":"BatchUpdate","batchUpdate":{"batch":2,"releaseType":"auto","batchWaitTime":0}}'}

worker_image() {
  local answer
  answer=$(ask sae GET /pop/v1/sam/app/describeApplicationConfig --AppId "$SPILLWAY_WORKER_APP_ID") || return 1
  jq -er '.Data.ImageUrl' <<<"$answer"
}

# Prints the state of a change order: running, waiting (for a person), stuck, succeeded, or failed. Codes: the vendor's SDK
# sae-20190506 of 2026-07-10, DescribeChangeOrder. An order that waits between automatic batches (9) has not ended, and one
# that went wrong (SubStatus 1) stays at its status.
change_order_state() {
  local answer
  answer=$(ask sae GET /pop/v1/sam/changeorder/DescribeChangeOrder --ChangeOrderId "$1") || return 1
  case $(jq -r '"\(.Data.Status)/\(.Data.SubStatus // 0)"' <<<"$answer") in
    2/*) echo succeeded ;;
    3/* | 6/* | 10/*)
      say "change order $1: status $(jq -r '"\(.Data.Status) \(.Data.ErrorMessage // "")"' <<<"$answer")"
      echo failed
      ;;
    */1) echo stuck ;;
    0/* | 1/* | 9/* | 12/*) echo running ;;
    8/* | 11/*) echo waiting ;;
    *)
      say "change order $1: unknown status $(jq -c '.Data | {Status, SubStatus}' <<<"$answer")"
      return 1
      ;;
  esac
}

change_order_succeeded() {
  local state
  state=$(change_order_state "$1") || return 2
  case $state in
    succeeded) ;;
    running) return 1 ;;
    waiting)
      say "change order $1 waits for a person: confirm it in the console"
      return 1
      ;;
    stuck)
      say "change order $1 is stuck: a batch went wrong"
      return 2
      ;;
    *) return 2 ;;
  esac
}

change_order_ended() {
  local state
  state=$(change_order_state "$1") || return 2
  [[ $state == succeeded || $state == failed ]]
}

# deploy_workers IMAGE: deploys the image and waits until every replica runs it.
deploy_workers() {
  local answer order registry=()
  # SAE needs the instance of an image in ACR Enterprise.
  if [[ -n ${SPILLWAY_REGISTRY_INSTANCE-} ]]; then registry=(--AcrInstanceId "$SPILLWAY_REGISTRY_INSTANCE"); fi
  answer=$(change sae POST /pop/v1/sam/app/deployApplication --AppId "$SPILLWAY_WORKER_APP_ID" --ImageUrl "$1" \
    --UpdateStrategy "$WORKER_UPDATE_STRATEGY" "${registry[@]}") || return 1
  if [[ -n $DRY_RUN ]]; then return; fi
  order=$(jq -er '.Data.ChangeOrderId' <<<"$answer") || return 1
  say "change order $order"
  if [[ -n ${SPILLWAY_DEPLOY_STATE-} ]]; then echo "$order" >"$SPILLWAY_DEPLOY_STATE.change-order"; fi
  await "$WORKER_DEADLINE_S" "change order $order" change_order_succeeded "$order" || return 1
}

# The newest change order of the application, for use if the release's own id was lost.
newest_change_order() {
  local answer
  answer=$(ask sae GET /pop/v1/sam/changeorder/ListChangeOrders --AppId "$SPILLWAY_WORKER_APP_ID" \
    --CurrentPage 1 --PageSize 1) || return 1
  jq -er '.Data.ChangeOrderList[0].ChangeOrderId // ""' <<<"$answer"
}

# Aborts a change order that has not ended, because SAE rejects a second one.
end_change_order() {
  local file=${SPILLWAY_DEPLOY_STATE-}.change-order order code=0
  if [[ -s $file ]]; then order=$(<"$file"); else order=$(newest_change_order) || return 1; fi
  [[ -n $order ]] || return 0
  change_order_ended "$order" || code=$?
  ((code != 2)) || return 1
  if ((code == 1)); then
    say "aborting change order $order"
    change sae PUT /pop/v1/sam/changeorder/AbortChangeOrder --ChangeOrderId "$order" >/dev/null || return 1
    if [[ -n $DRY_RUN ]]; then return; fi
    await "$WORKER_DEADLINE_S" "the end of change order $order" change_order_ended "$order" || return 1
  fi
  rm -f "$file"
}

# Prints addresses in the VPC of the running workers, one a line.
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
