# Trust policies of the roles.

locals {
  # Services that may assume a role.
  services = {
    function = "fc.aliyuncs.com"
    gateway  = "apigateway.aliyuncs.com"
    runner   = "ecs.aliyuncs.com"
  }

  # GitHub issues a token with an environment's name only after its reviewers approved.
  subjects = var.github == null ? {} : {
    build  = "${var.github.environment}-build"
    plan   = "${var.github.environment}-plan"
    apply  = "${var.github.environment}-apply"
    deploy = var.github.environment
  }

  trust = merge(
    { for role, service in local.services : role => { Principal = { Service = [service] } } },
    { for role, environment in local.subjects : role => {
      Principal = { Federated = [var.github.provider_arn] }
      Condition = {
        StringEquals = {
          "oidc:iss" = ["https://token.actions.githubusercontent.com"]
          "oidc:aud" = [var.github.audience]
          "oidc:sub" = ["repo:${var.github.repository}:environment:${environment}"]
        }
      }
    } },
  )
}
