# shellcheck shell=bash
# Terraform plan of one environment, and its checks.

TERRAFORM_ROOT=${SPILLWAY_TERRAFORM_ROOT:-$REPO/infra/platform}

# make_plan ENVIRONMENT FOLDER: writes FOLDER/plan, which contains secrets, and FOLDER/plan.txt, which does not.
make_plan() {
  local folder=$2 backend=() setting
  [[ -f $TERRAFORM_ROOT/$1.tfvars ]] || die "no such environment: $1"
  for setting in ${SPILLWAY_TERRAFORM_BACKEND-}; do backend+=("-backend-config=$setting"); done
  export TF_IN_AUTOMATION=1 TF_INPUT=0 TF_DATA_DIR=$folder/data
  # Without hashes of the provider, whoever answers for the registry would run code with the plan's role.
  [[ -f $TERRAFORM_ROOT/.terraform.lock.hcl ]] ||
    die "no .terraform.lock.hcl: run terraform -chdir=infra/platform get and terraform -chdir=infra/platform providers lock -platform=linux_amd64 -platform=darwin_arm64, check and commit it"
  terraform -chdir="$TERRAFORM_ROOT" init -lockfile=readonly "${backend[@]}" >&2
  # The later file wins: with-variables may have set one.
  TF_CLI_ARGS_plan="-var-file=$1.tfvars ${TF_CLI_ARGS_plan-}" \
    terraform -chdir="$TERRAFORM_ROOT" plan -lock-timeout=300s -out="$folder/plan" >/dev/null
  # Only in this form does Terraform hide sensitive values.
  terraform -chdir="$TERRAFORM_ROOT" show -no-color "$folder/plan" >"$folder/plan.txt"
}

# guard_plan FOLDER: rejects unsafe changes. The plan as JSON contains secrets: it goes through a
# pipe, never to a file or a log.
guard_plan() {
  local faults allowed
  allowed=$(jq -nc --arg allowed "${SPILLWAY_ALLOW_DESTROY-}" '$allowed | split(" ") | map(select(. != ""))')
  faults=$(terraform -chdir="$TERRAFORM_ROOT" show -json "$1/plan" | jq -r --argjson allowed "$allowed" -f "$DEPLOY/plan-guard.jq") ||
    die "the plan cannot be read"
  [[ -z $faults ]] || die "the plan is rejected:"$'\n'"$faults"
}
