output "role_arns" {
  description = "Roles by who takes them: function, worker, gateway, and with a pipeline builder and deployer (null without)."
  value       = merge({ builder = null, deployer = null }, { for role, made in alicloud_ram_role.this : role => made.arn })

  # Whoever is made with a role finds its rights there: a function's image is pulled by them while it is made.
  depends_on = [alicloud_ram_role_policy_attachment.this]
}

output "role_names" {
  description = "Their names."
  value       = { for role, made in alicloud_ram_role.this : role => made.role_name }
}

output "policies" {
  description = "What each may do, as JSON, by role."
  value = merge(
    { for role, policy in alicloud_ram_policy.this : role => policy.policy_document },
    { for policy in alicloud_ram_policy.deployer : "deployer" => policy.policy_document },
  )
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
  value       = try(var.github.oidc_provider_arn, null) != null ? var.github.oidc_provider_arn : one(alicloud_ims_oidc_provider.github[*].arn)
}
