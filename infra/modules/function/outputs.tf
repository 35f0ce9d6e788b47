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
  description = "Address of the HTTP trigger: the one in the internet, or the region's own by `public_url`. Null until there is one."
  value       = try(var.public_url ? alicloud_fcv3_trigger.http.http_trigger[0].url_internet : alicloud_fcv3_trigger.http.http_trigger[0].url_intranet, null)
}

output "version" {
  description = "The first version, which the alias begins with. What is behind it later, the deployment says."
  value       = alicloud_fcv3_function_version.first.version_id
}

output "provision_actions" {
  description = "The schedule of warm instances as the platform is told it: name, target, schedule_expression, start_time, end_time, time_zone."
  value       = local.provision_actions
}

output "reserved_concurrency" {
  description = "The fence: most instances at a time, read from what fences them."
  value       = alicloud_fcv3_concurrency_config.this.reserved_concurrency
}

output "trigger_auth" {
  description = "Who may call the trigger: `function` (whoever has a right to) or `anonymous`."
  value       = jsondecode(alicloud_fcv3_trigger.http.trigger_config).authType
}
