# shellcheck shell=bash
# A Terraform plan of one environment, and what it may not do.

# make_plan ENVIRONMENT FOLDER: leaves FOLDER/plan, which holds secrets, and FOLDER/plan.txt, which does not.
make_plan() {
  local root=$REPO/infra/envs/$1 folder=$2 backend=() setting
  [[ -n ${SPILLWAY_TERRAFORM_ROOT-} ]] && root=$SPILLWAY_TERRAFORM_ROOT
  [[ -d $root ]] || die "no such environment: $1"
  for setting in ${SPILLWAY_TERRAFORM_BACKEND-}; do backend+=("-backend-config=$setting"); done
  export TF_IN_AUTOMATION=1 TF_INPUT=0 TF_DATA_DIR=$folder/data
  # Once the provider's sums are written down, nothing else is taken.
  [[ ! -f $root/.terraform.lock.hcl ]] || backend+=(-lockfile=readonly)
  terraform -chdir="$root" init "${backend[@]}" >&2
  terraform -chdir="$root" plan -lock-timeout=300s -out="$folder/plan" >/dev/null
  # As people read it: Terraform hides what is marked sensitive, here and nowhere else.
  terraform -chdir="$root" show -no-color "$folder/plan" >"$folder/plan.txt"
}

# guard_plan ENVIRONMENT FOLDER: refuses what must not happen by the way. The plan as JSON shows secrets: it goes through a
# pipe, never to a file or a log.
guard_plan() {
  local root=$REPO/infra/envs/$1 faults allowed
  [[ -n ${SPILLWAY_TERRAFORM_ROOT-} ]] && root=$SPILLWAY_TERRAFORM_ROOT
  allowed=$(jq -nc --arg allowed "${SPILLWAY_ALLOW_DESTROY-}" '$allowed | split(" ") | map(select(. != ""))')
  faults=$(terraform -chdir="$root" show -json "$2/plan" | jq -r --argjson allowed "$allowed" -f "$DEPLOY/plan-guard.jq") ||
    die "the plan cannot be read"
  [[ -z $faults ]] || die "the plan is refused:"$'\n'"$faults"
}
