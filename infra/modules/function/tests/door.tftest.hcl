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

run "no_authentication_is_rejected" {
  command = plan
  variables {
    environment = { SPILLWAY_ORDERS_TOPIC = "orders" }
  }
  expect_failures = [var.environment]
}

run "the_platform_alone_may_authenticate" {
  command = plan
  variables {
    environment = { SPILLWAY_GATEWAY_AUTH = "function" }
  }
  assert {
    condition     = jsondecode(alicloud_fcv3_trigger.http.trigger_config).authType == "function"
    error_message = "the platform must authorise callers"
  }
}

run "an_anonymous_trigger_with_signatures_is_accepted" {
  command = plan
  variables {
    trigger_auth = "anonymous"
  }
  assert {
    condition     = jsondecode(alicloud_fcv3_trigger.http.trigger_config).authType == "anonymous"
    error_message = "the trigger must be anonymous for the gateway's HTTP backend"
  }
}

run "an_anonymous_trigger_without_signatures_is_rejected" {
  command = plan
  variables {
    trigger_auth = "anonymous"
    environment  = { SPILLWAY_GATEWAY_AUTH = "function" }
  }
  expect_failures = [var.trigger_auth]
}

run "an_unsigned_identity_header_is_rejected" {
  command = plan
  variables {
    environment = { SPILLWAY_GATEWAY_AUTH = "function", SPILLWAY_IDENTITY_HEADER = "X-Spillway-User" }
  }
  expect_failures = [var.environment]
}

run "insecure_dev_is_rejected" {
  command = plan
  variables {
    environment = { SPILLWAY_GATEWAY_AUTH = "function", SPILLWAY_INSECURE_DEV = "true" }
  }
  expect_failures = [var.environment]
}
