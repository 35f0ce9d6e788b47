output "function_name" {
  description = "Name of the function."
  value       = alicloud_fcv3_function.this.function_name
}

output "alias_name" {
  description = "Alias that the gateway calls."
  value       = alicloud_fcv3_alias.this.alias_name
}

output "http_url" {
  description = "URL of the HTTP trigger; null until the trigger exists."
  value       = try(alicloud_fcv3_trigger.http.http_trigger[0].url_internet, null)
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
