# The article's third failure: a function that waited 10 to 15 s for a slow third party was billed for every second.
# The platform stops this function shortly after the sum of its own bounds.
mock_provider "alicloud" {}

variables {
  name        = "spillway-test"
  image       = "registry.example.com/spillway/ingest-fn@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
  cpu         = 0.5
  memory_mb   = 512
  role_arn    = "acs:ram::1:role/spillway-test-function"
  log         = { project = "spillway-test", logstore = "function" }
  environment = { SPILLWAY_GATEWAY_SECRETS = "Key2026a=not-a-secret", SPILLWAY_IDENTITY_HEADER = "X-Spillway-User" }
}

run "synchronous_wait" {
  command = plan
  variables {
    timeout_s = 60
  }
  expect_failures = [var.timeout_s]
}

run "the_default_timeout_is_a_few_seconds" {
  command = plan

  assert {
    condition     = alicloud_fcv3_function.this.timeout == 10
    error_message = "the time-out must be ingest-fn's 8 s and a margin"
  }
}

run "a_timeout_below_ingest_fns_own_bounds_is_rejected" {
  command = plan
  variables {
    timeout_s = 5
  }
  expect_failures = [var.timeout_s]
}
