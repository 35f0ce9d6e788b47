# Trust policies of the roles.

locals {
  # Services that may assume a role.
  trusted_services = {
    function = "fc.aliyuncs.com"
    gateway  = "apigateway.aliyuncs.com"
  }

  service_trust = {
    for role, service in local.trusted_services : role => {
      Version = "1"
      Statement = [{
        Effect    = "Allow"
        Action    = "sts:AssumeRole"
        Principal = { Service = [service] }
      }]
    }
  }

  # GitHub issues a token with an environment's name only after its reviewers approved.
  subjects = var.github == null ? {} : {
    builder  = [for environment in var.github.environments : "repo:${var.github.repository}:environment:${environment}-build"]
    deployer = [for environment in var.github.environments : "repo:${var.github.repository}:environment:${environment}"]
  }

  pipeline_trust = {
    for role, subjects in local.subjects : role => {
      Version = "1"
      Statement = [{
        Effect    = "Allow"
        Action    = "sts:AssumeRole"
        Principal = { Federated = [coalesce(var.github.oidc_provider_arn, "acs:ram::${var.account_id}:oidc-provider/${var.name}-github")] }
        Condition = {
          StringEquals = {
            "oidc:iss" = ["https://token.actions.githubusercontent.com"]
            "oidc:aud" = [var.github.audience]
            "oidc:sub" = subjects
          }
        }
      }]
    }
  }

  trust = merge(local.service_trust, local.pipeline_trust)
}

resource "alicloud_ims_oidc_provider" "github" {
  # An account has one provider for an issuer (certain: CreateOIDCProvider): a second environment uses the first one's.
  count = try(var.github.oidc_provider_arn, null) != null || var.github == null ? 0 : 1

  oidc_provider_name  = "${var.name}-github"
  description         = "workflows of ${var.github.repository}"
  issuer_url          = "https://token.actions.githubusercontent.com"
  client_ids          = [var.github.audience]
  fingerprints        = var.github_fingerprints
  issuance_limit_time = 6
}
