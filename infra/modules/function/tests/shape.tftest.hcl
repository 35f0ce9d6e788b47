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

run "the_container_matches_ingest_fn" {
  command = plan

  assert {
    condition     = alicloud_fcv3_function.this.runtime == "custom-container" && alicloud_fcv3_function.this.handler != ""
    error_message = "the function must be a custom container with a handler, which the API requires"
  }
  assert {
    condition = (
      alicloud_fcv3_function.this.custom_container_config[0].port == 9000 &&
      nonsensitive(alicloud_fcv3_function.this.environment_variables["SPILLWAY_INGEST_LISTEN"]) == "0.0.0.0:9000"
    )
    error_message = "ingest-fn must listen on the container's port, on every address"
  }
  assert {
    condition     = alicloud_fcv3_function.this.custom_container_config[0].health_check_config[0].http_get_url == "/healthz"
    error_message = "the health check must not depend on the broker"
  }
  assert {
    condition     = alicloud_fcv3_function.this.log_config[0].log_begin_rule == "None" && alicloud_fcv3_function.this.log_config[0].logstore == "function"
    error_message = "each log line must be an entry"
  }
}

run "hooks_are_longer_than_ingest_fns_own_bounds" {
  command = plan

  assert {
    condition     = alicloud_fcv3_function.this.instance_lifecycle_config[0].initializer[0].timeout > 20
    error_message = "the initializer must be longer than ingest-fn's start of 20 s"
  }
  assert {
    condition     = alicloud_fcv3_function.this.instance_lifecycle_config[0].pre_stop[0].timeout > 10
    error_message = "the pre-stop hook must be longer than ingest-fn's stop of 10 s"
  }
}

run "a_start_timeout_that_is_too_short_is_rejected" {
  command = plan
  variables {
    initialize_timeout_s = 20
  }
  expect_failures = [var.initialize_timeout_s]
}

run "a_stop_timeout_that_is_too_short_is_rejected" {
  command = plan
  variables {
    pre_stop_timeout_s = 10
  }
  expect_failures = [var.pre_stop_timeout_s]
}

run "the_trigger_calls_the_alias_of_a_version" {
  command = plan

  assert {
    condition     = alicloud_fcv3_alias.this.alias_name == "live" && alicloud_fcv3_trigger.http.qualifier == "live"
    error_message = "the trigger must be at the alias, never at LATEST"
  }
  assert {
    condition     = jsondecode(alicloud_fcv3_trigger.http.trigger_config).authType == "function"
    error_message = "the platform must authorise every call"
  }
  assert {
    condition     = jsondecode(alicloud_fcv3_trigger.http.trigger_config).methods == ["POST"]
    error_message = "the trigger must accept POST only"
  }
  assert {
    condition     = alicloud_fcv3_concurrency_config.this.reserved_concurrency == 100
    error_message = "reserved_concurrency must be 100 by default"
  }
}

run "latest_as_alias_is_rejected" {
  command = plan
  variables {
    alias_name = "latest"
  }
  expect_failures = [var.alias_name]
}

run "a_function_outside_a_vpc_has_no_vpc_config" {
  command = plan

  assert {
    condition     = alicloud_fcv3_function.this.internet_access == true
    error_message = "the platform must provide egress"
  }
}

run "a_function_in_a_vpc_reaches_the_internet_through_the_nat_gateway" {
  command = plan
  variables {
    vpc = { vpc_id = "vpc-1", vswitch_ids = ["vsw-a", "vsw-b"], security_group_id = "sg-function" }
  }

  assert {
    condition     = alicloud_fcv3_function.this.internet_access == false
    error_message = "the platform's own egress, which bypasses the NAT gateway, must be off"
  }
  assert {
    condition = (
      toset(alicloud_fcv3_function.this.vpc_config[0].vswitch_ids) == toset(["vsw-a", "vsw-b"]) &&
      alicloud_fcv3_function.this.vpc_config[0].security_group_id == "sg-function"
    )
    error_message = "the function must have its own vSwitches and security group"
  }
}

run "one_zone_is_rejected" {
  command = plan
  variables {
    vpc = { vpc_id = "vpc-1", vswitch_ids = ["vsw-a"], security_group_id = "sg-function" }
  }
  expect_failures = [var.vpc]
}
