# What an account has once, for all environments: services, resource groups, state, registry, identities, audit.

locals {
  environments = { for name, environment in var.environments : "${var.name}-${name}" => merge(environment, { environment = name }) }
}

resource "alicloud_resource_manager_resource_group" "this" {
  for_each = setunion([var.name], keys(local.environments))

  resource_group_name = each.key
  display_name        = each.key
  tags                = var.tags
}

module "registry" {
  source = "../modules/registry"

  name              = var.name
  tags              = var.tags
  resource_group_id = alicloud_resource_manager_resource_group.this[var.name].id
  region            = var.region
  instance_type     = var.registry.instance_type
  payment           = var.registry.payment
  tags_kept         = var.registry.tags_kept
  push_cidrs        = var.push_cidrs
}

# An account has one provider for an issuer (certain: CreateOIDCProvider).
resource "alicloud_ims_oidc_provider" "github" {
  count = var.github == null ? 0 : 1

  oidc_provider_name  = "${var.name}-github"
  description         = "workflows of ${var.github.repository}"
  issuer_url          = "https://token.actions.githubusercontent.com"
  client_ids          = [var.github.audience]
  fingerprints        = var.github.fingerprints
  issuance_limit_time = 6
}

module "ram" {
  source   = "../modules/ram"
  for_each = local.environments

  name                     = each.key
  tags                     = merge(var.tags, { environment = each.value.environment })
  region                   = var.region
  account_id               = data.alicloud_account.current.id
  dns_zone                 = each.value.dns_zone
  catalogue                = each.value.catalogue
  records_region           = each.value.records_region
  deploys_one_application  = each.value.deploys_one_application
  function_platform_rights = each.value.function_platform_rights
  registry                 = { instance_id = module.registry.instance_id, namespace = module.registry.namespace }
  state = {
    bucket        = alicloud_oss_bucket.state.bucket
    prefix        = "spillway/${each.value.environment}"
    lock_instance = alicloud_ots_instance.lock.name
    lock_table    = alicloud_ots_table.lock.table_name
  }
  github = var.github == null ? null : {
    repository   = var.github.repository
    environment  = each.value.environment
    audience     = var.github.audience
    provider_arn = "acs:ram::${data.alicloud_account.current.id}:oidc-provider/${one(alicloud_ims_oidc_provider.github[*].oidc_provider_name)}"
  }
}

resource "alicloud_quotas_quota_application" "this" {
  for_each = var.quotas

  product_code      = each.value.product
  quota_action_code = each.value.code
  desire_value      = each.value.value
  reason            = each.value.reason
  quota_category    = "CommonQuota"
  # 3: the applicant is told of the result.
  notice_type = 3

  dimensions {
    key   = "regionId"
    value = var.region
  }
}
