locals {
  # Names of plug-ins must not have dashes.
  plugin_prefix = replace(var.name, "-", "_")
  function_url  = try(trimsuffix(var.function.url, "/"), null)
}

resource "alicloud_api_gateway_instance" "this" {
  count = var.instance == null ? 0 : 1

  instance_name = var.name
  instance_spec = var.instance.spec
  instance_type = "normal"
  zone_id       = var.instance.zone_id
  https_policy  = "HTTPS2_TLS1_2"
  payment_type  = "PayAsYouGo"

  # Operators change the class for a sale in the console, like the broker's: an apply must not revert it.
  lifecycle {
    ignore_changes = [instance_spec]
  }
}

resource "alicloud_api_gateway_group" "this" {
  name        = var.name
  description = "Spillway's public API"
  base_path   = "/"
  instance_id = one(alicloud_api_gateway_instance.this[*].id)
  # Public access only: no client in the VPC has a buyer's token.
  vpc_intranet_enable = false

  # No bodies and no headers: they contain names, addresses and tokens.
  user_log_config {
    request_body     = false
    response_body    = false
    request_headers  = ""
    response_headers = ""
    query_string     = ""
    jwt_claims       = ""
  }
}

# Access to the VPC: one load balancer and one port.
resource "alicloud_api_gateway_vpc_access" "worker" {
  name                 = "${var.name}-worker"
  vpc_id               = var.worker_query.vpc_id
  instance_id          = var.worker_query.instance_id
  port                 = var.worker_query.port
  vpc_target_host_name = var.worker_query.host
}

resource "alicloud_api_gateway_log_config" "this" {
  count = var.log == null ? 0 : 1

  log_type      = "PROVIDER"
  sls_project   = var.log.project
  sls_log_store = var.log.logstore
}

resource "alicloud_alidns_record" "this" {
  count = try(var.domain.zone, null) == null ? 0 : 1

  domain_name = var.domain.zone
  rr          = trimsuffix(var.domain.name, ".${var.domain.zone}")
  type        = "CNAME"
  value       = coalesce(var.domain.front, alicloud_api_gateway_group.this.sub_domain)
  ttl         = 600
}
