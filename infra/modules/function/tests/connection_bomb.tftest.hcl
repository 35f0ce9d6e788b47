# The article's first failure: 2,000 instances of a function each opened a connection, and the database died in four
# seconds. This function has no database address under any name, and so no connection.
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

run "connection_bomb" {
  command = plan
  variables {
    environment = { SPILLWAY_GATEWAY_SECRETS = "Key2026a=not-a-secret", SPILLWAY_DATABASE_URL = "mysql://worker:x@db:3306/spillway" }
  }
  expect_failures = [var.environment]
}

run "a_database_address_under_another_name_is_rejected" {
  command = plan
  variables {
    environment = { SPILLWAY_GATEWAY_SECRETS = "Key2026a=not-a-secret", SPILLWAY_LOG = "MySQL://worker:x@db:3306/spillway" }
  }
  expect_failures = [var.environment]
}

run "a_database_host_variable_is_rejected" {
  command = plan
  variables {
    environment = { SPILLWAY_GATEWAY_SECRETS = "Key2026a=not-a-secret", MYSQL_HOST = "db" }
  }
  expect_failures = [var.environment]
}

run "instances_are_bounded_anyway" {
  command = plan

  assert {
    condition     = alicloud_fcv3_concurrency_config.this.reserved_concurrency <= 300
    error_message = "the default must not allow the article's 2,000 instances"
  }
}
