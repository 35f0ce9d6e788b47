# shellcheck shell=bash
# Environments, variables and secrets of the repository on GitHub, by its CLI, which takes {owner} and {repo} from the checkout.

# github ARGUMENT...: a call that makes a change.
github() {
  if [[ -n $DRY_RUN ]]; then
    say "would call: gh $*"
    return
  fi
  gh "$@" >/dev/null
}

# require_reviewers_plan: fails in a repository whose environments cannot have reviewers. GitHub's page "Deployments and environments":
# they exist in public repositories, and in private and internal ones with GitHub Enterprise.
require_reviewers_plan() {
  local repository visibility kind owner plan=
  repository=$(gh api "repos/{owner}/{repo}") || die "cannot read the repository"
  read -r visibility kind owner < <(jq -r '"\(.visibility) \(.owner.type) \(.owner.login)"' <<<"$repository")
  [[ $visibility != public ]] || return 0
  # Only an owner of the organisation sees its plan; a person's account has none with reviewers.
  if [[ $kind == Organization ]]; then plan=$(gh api "orgs/$owner" 2>/dev/null | jq -r '.plan.name // ""') || true; fi
  [[ $kind == Organization && $plan != free && $plan != team ]] ||
    die "required reviewers of a $visibility repository need GitHub Enterprise${plan:+, and the plan of $owner is \"$plan\"}:" \
      "without them anyone who may push to main changes the account. Make the repository public, or move it"
}

# environment_exists NAME [REVIEWERS]: makes an environment that deploys from main alone, or gives it that limit. With a second
# argument it must have reviewers; those that it has already stay as they are.
environment_exists() {
  local name=$1 at="repos/{owner}/{repo}/environments/$1" found reviewer id body ids=()
  if found=$(gh api "$at" 2>/dev/null); then
    # GitHub makes an environment without any protection when a run names one that does not exist.
    if { (($# == 1)) || jq -e 'any(.protection_rules[]?; .type == "required_reviewers")' <<<"$found" >/dev/null; } &&
      jq -e '.deployment_branch_policy.custom_branch_policies == true' <<<"$found" >/dev/null && [[ $(branches "$at") == main ]]; then
      say "$name: exists"
      return
    fi
  fi
  if (($# == 2)); then
    [[ -n $2 ]] || die "$name has no reviewers: set SPILLWAY_REVIEWERS"
    for reviewer in $2; do
      id=$(gh api "users/$reviewer" --jq .id) || die "GitHub does not know the user $reviewer"
      ids+=("$id")
    done
  fi
  # Without Enterprise a private repository accepts no list of reviewers, not even an empty one.
  body=$(jq -n '{deployment_branch_policy: {protected_branches: false, custom_branch_policies: true}}
    + if $ARGS.positional == [] then {} else {reviewers: ($ARGS.positional | map({type: "User", id: tonumber}))} end' --args "${ids[@]}")
  say "$name: from main alone${2:+, approved by $2}"
  github api --method PUT "$at" --input - <<<"$body" ||
    die "GitHub refuses $name, for the reason above: HTTP 422 about a billing plan means that reviewers of a private repository need GitHub Enterprise"
  # An existing policy is returned as an error (likely); the list is what counts.
  github api --method POST "$at/deployment-branch-policies" -f name=main 2>/dev/null || true
  [[ -n $DRY_RUN || $(branches "$at") == main ]] || die "$name must allow main and nothing else: remove the other branches on GitHub"
}

branches() { gh api "$1/deployment-branch-policies" --jq '.branch_policies[].name'; }
