output "role_arns" {
  description = "Roles by who takes them: function, worker, gateway, and with a pipeline builder and deployer (null without)."
  value       = merge({ builder = null, deployer = null }, { for role, made in alicloud_ram_role.this : role => made.arn })
}

output "role_names" {
  description = "Their names."
  value       = { for role, made in alicloud_ram_role.this : role => made.role_name }
}

output "policies" {
  description = "What each may do, as JSON, by role."
  value       = { for role, policy in alicloud_ram_policy.this : role => policy.policy_document }
}

output "trust" {
  description = "Who may become each, as JSON, by role."
  value       = { for role, made in alicloud_ram_role.this : role => made.assume_role_policy_document }
}

output "exceptions" {
  description = "Wildcards in the policies, and why each must be there."
  value       = local.exceptions
}

output "oidc_provider_arn" {
  description = "The provider that the pipeline's token comes from; null without a pipeline."
  value       = one(alicloud_ims_oidc_provider.github[*].arn)
}
