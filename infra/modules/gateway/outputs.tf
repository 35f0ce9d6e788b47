output "group_id" {
  description = "Id of the API group."
  value       = alicloud_api_gateway_group.this.id
}

output "sub_domain" {
  description = "Default domain of the group: for tests, not for a sale (1,000 calls a day)."
  value       = alicloud_api_gateway_group.this.sub_domain
}

output "routes" {
  description = "All public routes: method, path and backend."
  value       = [for key, route in local.routes : "${route.method} ${replace(replace(route.path, "[", "{"), "]", "}")} → ${route.backend}"]
}

output "order_limits" {
  description = "Requests a second of each route, by its name, read from the plug-ins."
  value       = { for key, plugin in alicloud_api_gateway_plugin.throttle : key => try(jsondecode(plugin.plugin_data).apiDefault, null) }
}

output "logged" {
  description = "True if the gateway logs calls."
  value       = length(alicloud_api_gateway_log_config.this) > 0
}
