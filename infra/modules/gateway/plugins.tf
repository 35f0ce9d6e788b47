# The gateway signs every request to a backend, including lookups. Services trust the identity header because of the
# signature.
resource "alicloud_api_gateway_plugin" "signature" {
  plugin_name = "${local.plugin_prefix}_signature"
  plugin_type = "backendSignature"
  description = "signs requests to the backends"
  plugin_data = jsonencode({
    type   = "APIGW_BACKEND"
    key    = var.backend_secret.key
    secret = var.backend_secret.secret
  })
  tags = var.tags
}

resource "alicloud_api_gateway_plugin_attachment" "signature" {
  for_each = alicloud_api_gateway_api.this

  group_id   = alicloud_api_gateway_group.this.id
  api_id     = each.value.api_id
  plugin_id  = alicloud_api_gateway_plugin.signature.id
  stage_name = "RELEASE"
}

resource "alicloud_api_gateway_plugin" "jwt" {
  count = var.jwt == null ? 0 : 1

  plugin_name = "${local.plugin_prefix}_jwt"
  plugin_type = "jwtAuth"
  description = "checks the buyer's token and sets the identity header"
  plugin_data = jsonencode({
    parameter         = "Authorization"
    parameterLocation = "header"
    claimParameters = [{
      claimName     = "sub"
      parameterName = var.jwt.identity_header
      location      = "header"
    }]
    # A missing or expired token is rejected.
    bypassEmptyToken      = false
    ignoreExpirationCheck = false
    # A token is valid for many requests.
    preventJtiReplay = false
    jwk              = var.jwt.jwk
  })
  tags = var.tags
}

resource "alicloud_api_gateway_plugin_attachment" "jwt" {
  for_each = var.jwt == null ? {} : local.routes

  group_id   = alicloud_api_gateway_group.this.id
  api_id     = alicloud_api_gateway_api.this[each.key].api_id
  plugin_id  = alicloud_api_gateway_plugin.jwt[0].id
  stage_name = "RELEASE"
}

resource "alicloud_api_gateway_plugin" "throttle" {
  for_each = local.routes

  plugin_name = "${local.plugin_prefix}_throttle_${each.key}"
  plugin_type = "trafficControl"
  description = "bounds ${each.value.method} ${each.value.path}"
  plugin_data = var.throttle_by_buyer != null && each.key == "place_order" ? var.throttle_by_buyer : jsonencode({
    unit       = "SECOND"
    apiDefault = each.value.per_second
    # Answer 429 immediately. By default the gateway queues requests, and clients would retry orders that wait too long.
    blockingMode = "QUICK_RETURN"
  })
  tags = var.tags
}

resource "alicloud_api_gateway_plugin_attachment" "throttle" {
  for_each = local.routes

  group_id   = alicloud_api_gateway_group.this.id
  api_id     = alicloud_api_gateway_api.this[each.key].api_id
  plugin_id  = alicloud_api_gateway_plugin.throttle[each.key].id
  stage_name = "RELEASE"
}

resource "alicloud_api_gateway_plugin" "body" {
  count = var.body_bytes_max == null ? 0 : 1

  plugin_name = "${local.plugin_prefix}_body"
  plugin_type = "accessControl"
  description = "rejects bodies whose Content-Length is too large"
  plugin_data = jsonencode({
    parameters = { bodyBytes = "Header:Content-Length" }
    rules = [{
      name         = "bodyTooLong"
      condition    = "$bodyBytes > ${var.body_bytes_max}"
      ifTrue       = "DENY"
      statusCode   = 413
      errorMessage = "the body is longer than ${var.body_bytes_max} bytes"
    }]
  })
  tags = var.tags
}

resource "alicloud_api_gateway_plugin_attachment" "body" {
  for_each = { for key, route in local.routes : key => route if route.method == "POST" && var.body_bytes_max != null }

  group_id   = alicloud_api_gateway_group.this.id
  api_id     = alicloud_api_gateway_api.this[each.key].api_id
  plugin_id  = alicloud_api_gateway_plugin.body[0].id
  stage_name = "RELEASE"
}
