output "group_id" {
  description = "Id of the API group."
  value       = alicloud_api_gateway_group.this.id
}

output "instance_id" {
  description = "Id of the dedicated instance; null on the shared one."
  value       = one(alicloud_api_gateway_instance.this[*].id)
}

output "sub_domain" {
  description = "The gateway's own name for the group: for trying, not for a sale (1,000 calls a day)."
  value       = alicloud_api_gateway_group.this.sub_domain
}

output "routes" {
  description = "The public API, whole: method, path and backend of each route."
  value       = [for key, route in local.routes : "${route.method} ${replace(replace(route.path, "[", "{"), "]", "}")} → ${route.backend}"]
}

output "identity_header" {
  description = "Header in which backends are told the buyer, for `SPILLWAY_IDENTITY_HEADER`; null if nobody is asked for a token."
  value       = try(var.jwt.identity_header, null)
}

output "domain_steps" {
  description = "What binds the domain and its certificate, which the provider cannot: commands for once, and again with each new certificate."
  value = var.domain == null ? [] : [
    "aliyun cloudapi SetDomain --GroupId ${alicloud_api_gateway_group.this.id} --DomainName ${var.domain.name}",
    "aliyun cloudapi SetDomainCertificate --GroupId ${alicloud_api_gateway_group.this.id} --DomainName ${var.domain.name} --CertificateName ${local.plugin_prefix} --CertificateBody \"$(cat fullchain.pem)\" --CertificatePrivateKey \"$(cat privkey.pem)\"",
  ]
}

output "order_limits" {
  description = "Requests a second of each route, by its name: read from the plug-ins, not from what was asked for."
  value       = { for key, plugin in alicloud_api_gateway_plugin.throttle : key => try(jsondecode(plugin.plugin_data).apiDefault, null) }
}

output "logged" {
  description = "Whether calls are logged."
  value       = length(alicloud_api_gateway_log_config.this) > 0
}
