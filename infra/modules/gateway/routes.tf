# All public routes. A name in brackets matches one segment of the path. There is no wildcard, and the gateway answers
# 404 for all other paths.
locals {
  # Milliseconds. ingest-fn answers within 8 s; the function ends after 10 s.
  function_timeout = 10000
  worker_timeout   = 3000

  routes = {
    place_order = {
      description = "Accepts an order"
      method      = "POST"
      path        = "/v1/orders"
      backend     = "function"
      per_second  = var.throttle.orders_per_second
      required    = ["Idempotency-Key"]
      # Content-MD5: where a client sends it, the gateway signs it (see the README).
      optional = ["Content-MD5", "traceparent"]
    }
    look_up_order = {
      description = "Returns the state of an order"
      method      = "GET"
      path        = "/v1/orders/[order_id]"
      backend     = "worker"
      per_second  = var.throttle.lookups_per_second
      required    = []
      optional    = ["traceparent"]
    }
  }

  # Only these parameters reach a backend, because the mode is MAPPING.
  parameters = {
    for key, route in local.routes : key => concat(
      [for name in regexall("\\[([a-z_]+)\\]", route.path) : { name = name[0], in = "PATH", required = "REQUIRED" }],
      [for name in route.required : { name = name, in = "HEAD", required = "REQUIRED" }],
      [for name in route.optional : { name = name, in = "HEAD", required = "OPTIONAL" }],
      var.identity_parameter && var.jwt != null ? [
        { name = var.jwt.identity_header, in = "HEAD", required = "OPTIONAL" },
      ] : [],
    )
  }
}

resource "alicloud_api_gateway_api" "this" {
  for_each = local.routes

  name        = replace("${var.name}_${each.key}", "-", "_")
  group_id    = alicloud_api_gateway_group.this.id
  description = each.value.description
  # The plug-in checks the token; the other types are for apps registered with the gateway.
  auth_type         = "ANONYMOUS"
  force_nonce_check = false
  stage_names       = ["RELEASE"]

  request_config {
    protocol = "HTTPS"
    method   = each.value.method
    path     = each.value.path
    # The gateway drops headers and query parameters that are not defined below, such as a client's identity header.
    mode        = "MAPPING"
    body_format = each.value.method == "POST" ? "STREAM" : null
  }

  service_type = each.value.backend == "worker" ? "HTTP-VPC" : var.backend == "fc" ? "FunctionCompute" : "HTTP"

  dynamic "fc_service_config" {
    for_each = each.value.backend == "function" && var.backend == "fc" ? [1] : []
    content {
      function_version      = "3.0"
      function_type         = "HttpTrigger"
      function_base_url     = local.function_url
      region                = var.region
      arn_role              = var.function.role_arn
      method                = each.value.method
      path                  = each.value.path
      timeout               = local.function_timeout
      content_type_category = "CLIENT"
    }
  }

  dynamic "http_service_config" {
    for_each = each.value.backend == "function" && var.backend == "http" ? [1] : []
    content {
      address               = local.function_url
      method                = each.value.method
      path                  = each.value.path
      timeout               = local.function_timeout
      content_type_category = "CLIENT"
    }
  }

  dynamic "http_vpc_service_config" {
    for_each = each.value.backend == "worker" ? [1] : []
    content {
      name       = alicloud_api_gateway_vpc_access.worker.name
      method     = each.value.method
      path       = each.value.path
      timeout    = local.worker_timeout
      vpc_scheme = "HTTP"
    }
  }

  dynamic "request_parameters" {
    for_each = local.parameters[each.key]
    content {
      name         = request_parameters.value.name
      name_service = request_parameters.value.name
      in           = request_parameters.value.in
      in_service   = request_parameters.value.in
      required     = request_parameters.value.required
      type         = "STRING"
    }
  }

  # The gateway's request id, to join its log with the services' logs.
  system_parameters {
    name         = "CaRequestId"
    name_service = "X-Ca-Request-Id"
    in           = "HEAD"
  }
}
