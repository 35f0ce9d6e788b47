locals {
  backend = {
    bucket              = alicloud_oss_bucket.state.bucket
    region              = var.region
    tablestore_endpoint = "https://${alicloud_ots_instance.lock.name}.${var.region}.ots.aliyuncs.com"
    tablestore_table    = alicloud_ots_table.lock.table_name
  }
}

output "backend" {
  description = "Settings of Terraform's backend for infra/platform, by environment (`SPILLWAY_TERRAFORM_BACKEND`)."
  value = {
    for environment in keys(var.environments) : environment =>
    join(" ", [for key, value in merge(local.backend, { prefix = "spillway/${environment}" }) : "${key}=${value}"])
  }
}

output "own_backend" {
  description = "The file `backend.tf` of this folder, which moves its own state to the bucket."
  value       = <<-EOT
    terraform {
      backend "oss" {
    ${join("\n", [for key, value in merge(local.backend, { prefix = "spillway/account" }) : "    ${key} = \"${value}\""])}
      }
    }
  EOT
}

output "activated" {
  description = "Status of each service's switch; null without `activate`."
  value       = local.activated
}

output "registry" {
  description = "The registry: instance (`SPILLWAY_REGISTRY_INSTANCE`), host and namespace to push to (`SPILLWAY_REGISTRY`) and to pull from within a VPC (`SPILLWAY_REGISTRY_PULL`)."
  value = {
    instance_id  = module.registry.instance_id
    address      = module.registry.address
    pull_address = module.registry.pull_address
  }
}

output "role_arns" {
  description = "Roles by environment: build, deploy (`ALIBABA_ROLE_ARN` of the build and release jobs), plan (`ALIBABA_PLAN_ROLE_ARN`), apply (`ALIBABA_APPLY_ROLE_ARN`), function, gateway, runner."
  value       = { for name, roles in module.ram : local.environments[name].environment => roles.role_arns }
}

output "oidc_provider_arn" {
  description = "OIDC provider of the pipeline's jobs (`ALIBABA_OIDC_PROVIDER_ARN`); null without `github`."
  value       = one(alicloud_ims_oidc_provider.github[*].arn)
}
