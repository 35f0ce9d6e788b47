# shellcheck shell=bash
# Terraform plan of one environment, and its checks.

# make_plan ENVIRONMENT FOLDER: writes FOLDER/plan, which contains secrets, and FOLDER/plan.txt, which does not.
make_plan() {
  local root=$REPO/infra/envs/$1 folder=$2 backend=() setting
  [[ -n ${SPILLWAY_TERRAFORM_ROOT-} ]] && root=$SPILLWAY_TERRAFORM_ROOT
  [[ -d $root ]] || die "no such environment: $1"
  for setting in ${SPILLWAY_TERRAFORM_BACKEND-}; do backend+=("-backend-config=$setting"); done
  export TF_IN_AUTOMATION=1 TF_INPUT=0 TF_DATA_DIR=$folder/data
  # With a lock file, only the locked provider is accepted.
  [[ ! -f $root/.terraform.lock.hcl ]] || backend+=(-lockfile=readonly)
  terraform -chdir="$root" init "${backend[@]}" >&2
  terraform -chdir="$root" plan -lock-timeout=300s -out="$folder/plan" >/dev/null
  # Only in this form does Terraform hide sensitive values.
  terraform -chdir="$root" show -no-color "$folder/plan" >"$folder/plan.txt"
}

# guard_plan ENVIRONMENT FOLDER: rejects unsafe changes. The plan as JSON contains secrets: it goes through a
# pipe, never to a file or a log.
guard_plan() {
  local root=$REPO/infra/envs/$1 faults allowed
  [[ -n ${SPILLWAY_TERRAFORM_ROOT-} ]] && root=$SPILLWAY_TERRAFORM_ROOT
  allowed=$(jq -nc --arg allowed "${SPILLWAY_ALLOW_DESTROY-}" '$allowed | split(" ") | map(select(. != ""))')
  faults=$(terraform -chdir="$root" show -json "$2/plan" | jq -r --argjson allowed "$allowed" -f "$DEPLOY/plan-guard.jq") ||
    die "the plan cannot be read"
  [[ -z $faults ]] || die "the plan is rejected:"$'\n'"$faults"
}
