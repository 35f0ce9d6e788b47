output "role_arns" {
  description = "Roles: function, gateway, runner, and with a pipeline build, plan, apply, deploy."
  value       = { for role, made in alicloud_ram_role.this : role => made.arn }
}

output "policies" {
  description = "Policy of each role, as JSON."
  value       = { for role, policy in alicloud_ram_policy.this : role => policy.policy_document }
}

output "trust" {
  description = "Trust policy of each role, as JSON."
  value       = { for role, made in alicloud_ram_role.this : role => made.assume_role_policy_document }
}

output "exceptions" {
  description = "Wildcards in the policies, with the reason for each."
  value       = local.exceptions
}
