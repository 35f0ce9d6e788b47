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
  assert {
    condition     = output.identity_header == "X-Spillway-User"
    error_message = "the output must have the identity header"
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

run "anonymous_allows_a_missing_jwt_key" {
  command = plan
  variables {
    jwt       = null
    anonymous = true
  }
  assert {
    condition     = length(alicloud_api_gateway_plugin.jwt) == 0 && length(alicloud_api_gateway_plugin_attachment.jwt) == 0
    error_message = "there must be no JWT plug-in"
  }
}

run "a_private_key_is_rejected" {
  command = plan
  variables {
    jwt = { jwk = { kty = "RSA", n = "AQAB", e = "AQAB", d = "AQAB" } }
  }
  expect_failures = [var.jwt]
}

run "a_key_that_is_not_rsa_is_rejected" {
  command = plan
  variables {
    jwt = { jwk = { kty = "EC", crv = "P-256", x = "AQAB", y = "AQAB" } }
  }
  expect_failures = [var.jwt]
}

run "a_reserved_header_is_rejected" {
  command = plan
  variables {
    jwt = { jwk = { kty = "RSA", n = "AQAB", e = "AQAB" }, identity_header = "X-Ca-User" }
  }
  expect_failures = [var.jwt]
}

run "a_secret_with_a_comma_is_rejected" {
  command = plan
  variables {
    backend_secret = { key = "Key2026a", secret = "half,the-other-half" }
  }
  expect_failures = [var.backend_secret]
}

run "a_key_that_the_gateway_rejects_fails_the_plan" {
  command = plan
  variables {
    backend_secret = { key = "2026a", secret = "not-a-secret-at-all" }
  }
  expect_failures = [var.backend_secret]
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
