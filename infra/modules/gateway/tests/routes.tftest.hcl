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
  jwt            = { jwk = { kty = "RSA", n = "AQAB", e = "AQAB" } }
  throttle       = { orders_per_second = 50000, lookups_per_second = 5000 }
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

run "lookups_go_to_one_port_in_the_vpc" {
  command = plan

  assert {
    condition = (
      alicloud_api_gateway_vpc_access.worker.instance_id == "alb-1" &&
      alicloud_api_gateway_vpc_access.worker.port == 80 &&
      alicloud_api_gateway_vpc_access.worker.vpc_target_host_name == "query.spillway.internal"
    )
    error_message = "the VPC access must be to the load balancer of the query port"
  }
  assert {
    condition = alltrue([
      for key in ["look_up_order"] :
      alicloud_api_gateway_api.this[key].http_vpc_service_config[0].name == "spillway-test-worker"
    ])
    error_message = "both lookups must use that access"
  }
}

run "a_backend_address_with_a_path_is_rejected" {
  command = plan
  variables {
    function = { url = "https://ingest.example/v1", role_arn = "acs:ram::1:role/spillway-test-gateway" }
  }
  expect_failures = [var.function]
}
