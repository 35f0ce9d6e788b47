# The article's third failure: a function that waited for a slow third party was billed for every second of it. Here no
# request waits longer than seconds.
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

run "synchronous_wait" {
  command = plan

  assert {
    condition = alltrue([
      for api in alicloud_api_gateway_api.this : alltrue([for config in api.fc_service_config : config.timeout <= 15000])
    ])
    error_message = "the gateway's time-out must be at most 15 s"
  }
}

run "a_backend_timeout_of_a_minute_is_rejected" {
  command = plan
  variables {
    function = { url = "https://ingest.example", role_arn = "acs:ram::1:role/spillway-test-gateway", timeout_ms = 60000 }
  }
  expect_failures = [var.function]
}
