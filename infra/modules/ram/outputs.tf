output "role_arns" {
  description = "Roles: function, worker, gateway, and with a pipeline builder and deployer (null without)."
  value       = merge({ builder = null, deployer = null }, { for role, made in alicloud_ram_role.this : role => made.arn })

  # A resource with a role needs its rights when it is made: the function's image is pulled with them.
  depends_on = [alicloud_ram_role_policy_attachment.this]
}

output "role_names" {
  description = "Names of the roles."
  value       = { for role, made in alicloud_ram_role.this : role => made.role_name }
}

output "policies" {
  description = "Policy of each role, as JSON."
  value = merge(
    { for role, policy in alicloud_ram_policy.this : role => policy.policy_document },
    { for policy in alicloud_ram_policy.deployer : "deployer" => policy.policy_document },
  )
}

output "trust" {
  description = "Trust policy of each role, as JSON."
  value       = { for role, made in alicloud_ram_role.this : role => made.assume_role_policy_document }
}

output "exceptions" {
  description = "Wildcards in the policies, with the reason for each."
  value       = local.exceptions
}

output "oidc_provider_arn" {
  description = "OIDC provider of the pipeline's tokens; null without a pipeline."
  value       = try(var.github.oidc_provider_arn, null) != null ? var.github.oidc_provider_arn : one(alicloud_ims_oidc_provider.github[*].arn)
}
