output "action_policy_id" {
  description = "Action policy that notifies every contact, for the alerts' `policy_configuration`."
  value       = alicloud_log_resource_record.action_policy.record_id
}
