mock_provider "alicloud" {
  mock_resource "alicloud_api_gateway_group" {
    defaults = {
      id         = "group-1"
      sub_domain = "group-1.example"
    }
  }
}

variables {
  name           = "spillway-test"
  region         = "cn-hangzhou"
  function       = { url = "https://ingest.example", role_arn = "acs:ram::1:role/spillway-test-gateway" }
  worker_query   = { vpc_id = "vpc-1", instance_id = "alb-1", port = 80, host = "query.spillway.internal" }
  backend_secret = { key = "Key2026a", secret = "not-a-secret-at-all" }
  jwt            = { jwk = { kty = "RSA", n = "AQAB", e = "AQAB" }, identity_header = "X-Spillway-User" }
  throttle       = { orders_per_second = 50000, lookups_per_second = 5000 }
}

run "every_route_has_a_throttle" {
  command = plan

  assert {
    condition     = toset(keys(alicloud_api_gateway_plugin_attachment.throttle)) == toset(keys(alicloud_api_gateway_api.this))
    error_message = "every route must have a throttle"
  }
  assert {
    condition = { for key, plugin in alicloud_api_gateway_plugin.throttle : key => jsondecode(plugin.plugin_data).apiDefault } == {
      place_order = 50000, look_up_order = 5000
    }
    error_message = "every route must have its own limit"
  }
  assert {
    condition = alltrue([
      for plugin in alicloud_api_gateway_plugin.throttle :
      jsondecode(plugin.plugin_data).unit == "SECOND" && jsondecode(plugin.plugin_data).blockingMode == "QUICK_RETURN"
    ])
    error_message = "throttles must be by second and answer immediately, without a queue"
  }
}

run "bodies_above_16_kib_are_rejected" {
  command = plan

  assert {
    condition     = toset(keys(alicloud_api_gateway_plugin_attachment.body)) == toset(["place_order"])
    error_message = "the plug-in must be on every POST route"
  }
  assert {
    condition = (
      jsondecode(alicloud_api_gateway_plugin.body[0].plugin_data).rules[0].condition == "$bodyBytes > 16384" &&
      jsondecode(alicloud_api_gateway_plugin.body[0].plugin_data).rules[0].ifTrue == "DENY" &&
      jsondecode(alicloud_api_gateway_plugin.body[0].plugin_data).rules[0].statusCode == 413
    )
    error_message = "the limit must be ingest-fn's 16384 bytes"
  }
}

run "the_gateway_log_has_no_body_and_no_header" {
  command = plan
  assert {
    condition = (
      alicloud_api_gateway_group.this.user_log_config[0].request_body == false &&
      alicloud_api_gateway_group.this.user_log_config[0].response_body == false &&
      alicloud_api_gateway_group.this.user_log_config[0].request_headers == "" &&
      alicloud_api_gateway_group.this.user_log_config[0].jwt_claims == ""
    )
    error_message = "the log must have no bodies, headers or claims: they contain names, addresses and tokens"
  }
}

run "a_firewall_can_stand_in_front" {
  variables {
    domain = { name = "api.example.com", zone = "example.com", front = "front.example.net" }
  }

  assert {
    condition     = alicloud_alidns_record.this[0].value == "front.example.net"
    error_message = "the CNAME must name what stands in front"
  }
}

run "a_custom_domain_can_be_set" {
  command = apply
  variables {
    domain = { name = "api.example.com", zone = "example.com" }
  }
  assert {
    condition     = alicloud_alidns_record.this[0].rr == "api" && alicloud_alidns_record.this[0].type == "CNAME" && alicloud_alidns_record.this[0].value == "group-1.example"
    error_message = "the CNAME must point to the group"
  }
}

run "the_token_identifies_the_buyer" {
  command = plan

  assert {
    condition = (
      jsondecode(alicloud_api_gateway_plugin.jwt[0].plugin_data).bypassEmptyToken == false &&
      jsondecode(alicloud_api_gateway_plugin.jwt[0].plugin_data).ignoreExpirationCheck == false
    )
    error_message = "the plug-in must reject missing and expired tokens"
  }
  assert {
    condition = jsondecode(alicloud_api_gateway_plugin.jwt[0].plugin_data).claimParameters == [
      { claimName = "sub", parameterName = "X-Spillway-User", location = "header" }
    ]
    error_message = "the plug-in must write the claim into the identity header"
  }
  assert {
    condition     = toset(keys(alicloud_api_gateway_plugin_attachment.jwt)) == toset(["place_order", "look_up_order"])
    error_message = "orders and lookups must require a token"
  }
}

run "every_request_to_a_backend_is_signed" {
  command = plan

  assert {
    condition     = toset(keys(alicloud_api_gateway_plugin_attachment.signature)) == toset(["place_order", "look_up_order"])
    error_message = "every route must be signed, because backends trust the identity header by the signature"
  }
  assert {
    condition = nonsensitive(jsondecode(alicloud_api_gateway_plugin.signature.plugin_data)) == {
      type = "APIGW_BACKEND", key = "Key2026a", secret = "not-a-secret-at-all"
    }
    error_message = "the plug-in's data must be these"
  }
}

run "a_missing_jwt_key_is_rejected" {
  command = plan
  variables {
    jwt = null
  }
  expect_failures = [var.jwt]
}

run "the_identity_header_can_be_a_parameter" {
  command = plan
  variables {
    identity_parameter = true
  }
  assert {
    condition = alltrue([
      for api in alicloud_api_gateway_api.this : anytrue([for parameter in api.request_parameters : parameter.name == "X-Spillway-User"])
    ])
    error_message = "the header must be a parameter of every route"
  }
}

run "the_routes_are_exactly_the_public_ones" {
  command = plan

  assert {
    condition = toset([
      for api in alicloud_api_gateway_api.this : "${api.request_config[0].method} ${api.request_config[0].path} ${api.service_type}"
      ]) == toset([
      "POST /v1/orders FunctionCompute",
      "GET /v1/orders/[order_id] HTTP-VPC",
    ])
    error_message = "routes must be orders to the function and lookups to the worker only"
  }
  assert {
    condition     = toset(output.routes) == toset(["POST /v1/orders → function", "GET /v1/orders/{order_id} → worker"])
    error_message = "the output must have the same routes"
  }
}

run "no_route_has_a_wildcard" {
  command = plan

  assert {
    condition = alltrue([
      for api in alicloud_api_gateway_api.this : can(regex("^(/([a-z0-9]+|\\[[a-z_]+\\]))+$", api.request_config[0].path))
    ])
    error_message = "a path must have words and single segments in brackets only"
  }
  assert {
    condition     = alltrue([for api in alicloud_api_gateway_api.this : contains(["GET", "POST"], api.request_config[0].method)])
    error_message = "no route may accept any method"
  }
  assert {
    condition = alltrue([
      for api in alicloud_api_gateway_api.this : alltrue([
        for private in ["initialize", "pre-stop", "metrics", "healthz", "readyz", "invoke", "openapi"] :
        !strcontains(api.request_config[0].path, private)
      ])
    ])
    error_message = "paths of the platform and of operators must not be routed"
  }
}

run "routes_accept_https_and_defined_parameters_only" {
  command = plan

  assert {
    condition     = alltrue([for api in alicloud_api_gateway_api.this : api.request_config[0].protocol == "HTTPS"])
    error_message = "routes must accept HTTPS only"
  }
  assert {
    condition     = alltrue([for api in alicloud_api_gateway_api.this : api.request_config[0].mode == "MAPPING"])
    error_message = "the gateway must drop undefined headers, such as a client's identity header"
  }
  assert {
    condition     = toset([for parameter in alicloud_api_gateway_api.this["place_order"].request_parameters : "${parameter.in} ${parameter.name} ${parameter.required}"]) == toset(["HEAD Idempotency-Key REQUIRED", "HEAD Content-MD5 OPTIONAL", "HEAD traceparent OPTIONAL"])
    error_message = "an order must require a key, and accept a digest and a trace"
  }
  assert {
    condition     = toset([for parameter in alicloud_api_gateway_api.this["look_up_order"].request_parameters : "${parameter.in} ${parameter.name} ${parameter.required}"]) == toset(["PATH order_id REQUIRED", "HEAD traceparent OPTIONAL"])
    error_message = "a lookup must require an id"
  }
  assert {
    condition = alltrue([
      for api in alicloud_api_gateway_api.this : alltrue([for parameter in api.request_parameters : lower(parameter.name) != "x-spillway-user"])
    ])
    error_message = "no route may accept an identity header from a client"
  }
}

run "the_backend_can_be_the_function" {
  command = plan

  assert {
    condition = (
      alicloud_api_gateway_api.this["place_order"].fc_service_config[0].function_version == "3.0" &&
      alicloud_api_gateway_api.this["place_order"].fc_service_config[0].function_type == "HttpTrigger" &&
      alicloud_api_gateway_api.this["place_order"].fc_service_config[0].path == "/v1/orders" &&
      alicloud_api_gateway_api.this["place_order"].fc_service_config[0].arn_role == "acs:ram::1:role/spillway-test-gateway"
    )
    error_message = "the backend must be Function Compute 3.0 with the gateway's role"
  }
}

run "the_backend_can_be_the_http_trigger" {
  command = plan
  variables {
    backend  = "http"
    function = { url = "https://ingest.example/", role_arn = "acs:ram::1:role/spillway-test-gateway" }
  }

  assert {
    condition = (
      alicloud_api_gateway_api.this["place_order"].service_type == "HTTP" &&
      alicloud_api_gateway_api.this["place_order"].http_service_config[0].address == "https://ingest.example" &&
      length(alicloud_api_gateway_api.this["place_order"].fc_service_config) == 0
    )
    error_message = "the backend must be the trigger's URL"
  }
  assert {
    condition     = contains(keys(alicloud_api_gateway_plugin_attachment.signature), "place_order")
    error_message = "the route must be signed: the signature is the only check"
  }
}

run "synchronous_wait" {
  command = plan

  assert {
    condition = alltrue([
      for api in alicloud_api_gateway_api.this : alltrue([for config in api.fc_service_config : config.timeout <= 15000])
    ])
    error_message = "the gateway's time-out must be at most 15 s"
  }
}

run "bad_values_are_rejected" {
  command = plan

  variables {
    # a domain outside the zone
    domain = { name = "api.example.org", zone = "example.com" }
    # a private key
    jwt = { jwk = { kty = "RSA", n = "AQAB", e = "AQAB", d = "AQAB" }, identity_header = "X-Spillway-User" }
    # a secret with a comma
    backend_secret = { key = "Key2026a", secret = "half,the-other-half" }
    # a backend address with a path
    function = { url = "https://ingest.example/v1", role_arn = "acs:ram::1:role/spillway-test-gateway" }
  }

  expect_failures = [var.domain, var.jwt, var.backend_secret, var.function]
}

run "bad_values_are_rejected_2" {
  command = plan

  variables {
    # a key that is not rsa
    jwt = { jwk = { kty = "EC", crv = "P-256", x = "AQAB", y = "AQAB" }, identity_header = "X-Spillway-User" }
    # a key that the gateway rejects
    backend_secret = { key = "2026a", secret = "not-a-secret-at-all" }
  }

  expect_failures = [var.jwt, var.backend_secret]
}

run "bad_values_are_rejected_3" {
  command = plan

  variables {
    # a reserved header
    jwt = { jwk = { kty = "RSA", n = "AQAB", e = "AQAB" }, identity_header = "X-Ca-User" }
  }

  expect_failures = [var.jwt]
}
