output "function_name" {
  description = "Name of the function."
  value       = alicloud_fcv3_function.this.function_name
}

output "function_arn" {
  description = "ARN of the function, for policies."
  value       = alicloud_fcv3_function.this.function_arn
}

output "alias_name" {
  description = "Alias that the gateway calls."
  value       = alicloud_fcv3_alias.this.alias_name
}

output "http_url" {
  description = "URL of the HTTP trigger: public, or internal to the region, by `public_url`. Null until the trigger exists."
  value       = try(var.public_url ? alicloud_fcv3_trigger.http.http_trigger[0].url_internet : alicloud_fcv3_trigger.http.http_trigger[0].url_intranet, null)
}

output "version" {
  description = "The first version, initial target of the alias. Later the deployment moves the alias."
  value       = alicloud_fcv3_function_version.first.version_id
}

output "provision_actions" {
  description = "Scheduled actions for warm instances: name, target, schedule_expression, start_time, end_time, time_zone."
  value       = local.provision_actions
}

output "reserved_concurrency" {
  description = "Maximum number of instances, read from the concurrency configuration."
  value       = alicloud_fcv3_concurrency_config.this.reserved_concurrency
}

output "trigger_auth" {
  description = "Authentication of the trigger: `function` (callers with `fc:InvokeFunction`) or `anonymous`."
  value       = jsondecode(alicloud_fcv3_trigger.http.trigger_config).authType
}
