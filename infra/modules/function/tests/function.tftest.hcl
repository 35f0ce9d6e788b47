mock_provider "alicloud" {}

variables {
  resource_group_id = "rg-1"
  vpc               = { vpc_id = "vpc-1", vswitch_ids = ["vsw-a", "vsw-b"], security_group_id = "sg-function" }
  name              = "spillway-test"
  image             = "registry.example.com/spillway/ingest-fn@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
  size              = { cpu = 0.5, memory_mb = 512, concurrency = 100, reserved_concurrency = 100, warm_lead_min = 10, always_allocate_cpu = false }
  role_arn          = "acs:ram::1:role/spillway-test-function"
  log               = { project = "spillway-test", logstore = "function" }
  environment       = { SPILLWAY_GATEWAY_SECRETS = "Key2026a=not-a-secret", SPILLWAY_IDENTITY_HEADER = "X-Spillway-User" }
}

run "the_catalogue_is_mounted_read_only" {
  command = plan
  variables {
    catalogue = { bucket = "spillway-test", folder = "/catalogue", endpoint = "http://oss-cn-hangzhou-internal.aliyuncs.com" }
  }
  assert {
    condition     = alltrue([for mount in alicloud_fcv3_function.this.oss_mount_config[0].mount_points : mount.read_only])
    error_message = "the function must not write to the bucket"
  }
  assert {
    condition     = alicloud_fcv3_function.this.oss_mount_config[0].mount_points[0].bucket_path == "/catalogue" && alicloud_fcv3_function.this.environment_variables.SPILLWAY_CATALOGUE == "/catalogue/sales.toml"
    error_message = "ingest-fn must read the mounted file"
  }
}

run "connection_bomb" {
  command = plan
  variables {
    environment = { SPILLWAY_GATEWAY_SECRETS = "Key2026a=not-a-secret", SPILLWAY_DATABASE_URL = "mysql://worker:x@db:3306/spillway" }
  }
  expect_failures = [var.environment]
}

run "instances_start_before_a_sale_and_stop_after_it" {
  command = plan
  variables {
    sale_windows = [{ name = "double-eleven", opens_at = "2026-11-11T12:00:00", closes_at = "2026-11-11T12:30:00", instances = 50 }]
  }

  assert {
    condition = output.provision_actions[0] == {
      name                = "double-eleven-warm"
      target              = 50
      schedule_expression = "cron(0 50 11 11 11 *)"
      start_time          = "2026-11-11T11:49:00"
      end_time            = "2026-11-11T12:35:00"
      time_zone           = "Asia/Shanghai"
    }
    error_message = "instances must start once, ten minutes before the sale, in local time"
  }
  assert {
    condition = output.provision_actions[1] == {
      name                = "double-eleven-cool"
      target              = 0
      schedule_expression = "cron(0 35 12 11 11 *)"
      start_time          = "2026-11-11T12:34:00"
      end_time            = "2026-11-11T13:35:00"
      time_zone           = "Asia/Shanghai"
    }
    error_message = "instances must stop five minutes after the sale"
  }
  assert {
    condition     = alicloud_fcv3_provision_config.this[0].target == 0 && alicloud_fcv3_provision_config.this[0].qualifier == "live"
    error_message = "the target must be 0 outside a sale, at the alias"
  }
  assert {
    condition     = length(alicloud_fcv3_provision_config.this[0].scheduled_actions) == 2 && alicloud_fcv3_provision_config.this[0].scheduled_actions[0].target == 50
    error_message = "the scheduled actions must match the output"
  }
  assert {
    condition     = alicloud_fcv3_provision_config.this[0].always_allocate_cpu == false
    error_message = "idle instances must not be billed as active"
  }
}

run "a_sale_after_midnight_is_warmed_on_the_previous_day" {
  command = plan
  variables {
    sale_windows = [{ name = "new-year", opens_at = "2027-01-01T00:00:00", closes_at = "2027-01-01T23:58:00", instances = 20 }]
  }

  assert {
    condition = (
      output.provision_actions[0].schedule_expression == "cron(0 50 23 31 12 *)" &&
      output.provision_actions[0].start_time == "2026-12-31T23:49:00"
    )
    error_message = "warming must fall on the previous day, here in the previous year"
  }
  assert {
    condition = (
      output.provision_actions[1].schedule_expression == "cron(0 3 0 2 1 *)" &&
      output.provision_actions[1].start_time == "2027-01-02T00:02:00"
    )
    error_message = "cooling must fall on the next day"
  }
}

run "utc_times_have_a_z_and_no_zone" {
  command = plan
  variables {
    time_zone    = "UTC"
    sale_windows = [{ name = "double-eleven", opens_at = "2026-11-11T04:00:00", closes_at = "2026-11-11T04:30:00", instances = 50 }]
  }

  assert {
    condition = (
      output.provision_actions[0].start_time == "2026-11-11T03:49:00Z" &&
      output.provision_actions[0].end_time == "2026-11-11T04:35:00Z" &&
      output.provision_actions[0].time_zone == null
    )
    error_message = "UTC times must have a Z and no zone"
  }
}

run "zoned_times_have_no_z" {
  command = plan
  variables {
    time_zone    = "Europe/Berlin"
    sale_windows = [{ name = "spring", opens_at = "2027-04-01T09:00:00", closes_at = "2027-04-01T10:00:00", instances = 5 }]
  }

  assert {
    condition     = alltrue([for action in output.provision_actions : !endswith(action.start_time, "Z") && !endswith(action.end_time, "Z") && action.time_zone == "Europe/Berlin"])
    error_message = "zoned times must have no Z"
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
}

run "a_function_in_a_vpc_reaches_the_internet_through_the_nat_gateway" {
  command = plan
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

run "the_smallest_pair_of_loadtest_plan_is_accepted" {
  command = plan
  variables {
    size = { cpu = 0.1, memory_mb = 128, concurrency = 100, reserved_concurrency = 100, warm_lead_min = 10, always_allocate_cpu = false }
  }
  assert {
    condition     = alicloud_fcv3_function.this.cpu == 0.1 && alicloud_fcv3_function.this.memory_size == 128
    error_message = "the smallest pair of loadtest plan must be accepted"
  }
}

# FC 3.0, "Limits": 1 to 4 GB for each vCPU.
run "too_little_memory_for_the_cpu_is_rejected" {
  command = plan

  variables {
    size = { cpu = 1, memory_mb = 960, concurrency = 100, reserved_concurrency = 100, warm_lead_min = 10, always_allocate_cpu = false }
  }

  expect_failures = [var.size]
}

run "bad_values_are_rejected" {
  command = plan

  variables {
    # a whole bucket
    catalogue = { bucket = "spillway-test", folder = "/", endpoint = "http://oss-cn-hangzhou-internal.aliyuncs.com" }
    # a database address under another name
    environment = { SPILLWAY_GATEWAY_SECRETS = "Key2026a=not-a-secret", SPILLWAY_LOG = "MySQL://worker:x@db:3306/spillway" }
    # a sale that closes before it opens
    sale_windows = [{ name = "noon", opens_at = "2026-11-11T12:30:00", closes_at = "2026-11-11T12:00:00", instances = 50 }]
    # a time zone abbreviation
    time_zone = "CST"
    # one zone
    vpc = { vpc_id = "vpc-1", vswitch_ids = ["vsw-a"], security_group_id = "sg-function" }
    # a mutable tag
    image = "registry.example.com/spillway/ingest-fn:0.1.0"
  }

  expect_failures = [var.catalogue, var.environment, var.sale_windows, var.time_zone, var.vpc, var.image]
}

run "bad_values_are_rejected_2" {
  command = plan

  variables {
    # a public endpoint
    catalogue = { bucket = "spillway-test", folder = "/catalogue", endpoint = "http://oss-cn-hangzhou.aliyuncs.com" }
    # a database host variable
    environment = { SPILLWAY_GATEWAY_SECRETS = "Key2026a=not-a-secret", MYSQL_HOST = "db" }
    # overlapping sales
    sale_windows = [
      { name = "noon", opens_at = "2026-11-11T12:00:00", closes_at = "2026-11-11T12:30:00", instances = 50 },
      { name = "other", opens_at = "2026-11-11T12:15:00", closes_at = "2026-11-11T13:00:00", instances = 30 },
    ]
  }

  expect_failures = [var.catalogue, var.environment, var.sale_windows]
}

run "bad_values_are_rejected_3" {
  command = plan

  variables {
    # no authentication
    environment = { SPILLWAY_ORDERS_TOPIC = "orders" }
    # a sale cooled by the previous sale
    # The second sale is warmed at 12:31, and the first one's cooling at 12:35 would stop its instances.
    sale_windows = [
      { name = "noon", opens_at = "2026-11-11T12:00:00", closes_at = "2026-11-11T12:30:00", instances = 50 },
      { name = "other", opens_at = "2026-11-11T12:41:00", closes_at = "2026-11-11T13:00:00", instances = 30 },
    ]
  }

  expect_failures = [var.environment, var.sale_windows]
}

run "bad_values_are_rejected_4" {
  command = plan

  variables {
    # an anonymous trigger without signatures
    trigger_auth = "anonymous"
    environment  = { SPILLWAY_GATEWAY_AUTH = "function" }
    # more warm instances than reserved concurrency
    size         = { cpu = 0.5, memory_mb = 512, concurrency = 100, reserved_concurrency = 40, warm_lead_min = 10, always_allocate_cpu = false }
    sale_windows = [{ name = "noon", opens_at = "2026-11-11T12:00:00", closes_at = "2026-11-11T12:30:00", instances = 50 }]
  }

  expect_failures = [var.trigger_auth, var.sale_windows]
}

run "bad_values_are_rejected_5" {
  command = plan

  variables {
    # an unsigned identity header
    environment = { SPILLWAY_GATEWAY_AUTH = "function", SPILLWAY_IDENTITY_HEADER = "X-Spillway-User" }
    # a time with a zone
    sale_windows = [{ name = "noon", opens_at = "2026-11-11T12:00:00+08:00", closes_at = "2026-11-11T12:30:00+08:00", instances = 50 }]
  }

  expect_failures = [var.environment, var.sale_windows]
}

run "bad_values_are_rejected_6" {
  command = plan

  variables {
    # insecure dev
    environment = { SPILLWAY_GATEWAY_AUTH = "function", SPILLWAY_INSECURE_DEV = "true" }
    # a sale without an end
    sale_windows = [{ name = "noon", opens_at = "2026-11-11T12:00:00", closes_at = "2027-11-11T12:30:00", instances = 50 }]
  }

  expect_failures = [var.environment, var.sale_windows]
}

# The article's third failure: a function that waited 10 to 15 s for a slow third party was billed for every second. The platform
# stops this one shortly after the sum of ingest-fn's own bounds: 5 s for the body and 3 s for the broker (ingest-fn/README.md).
run "synchronous_wait" {
  command = plan

  assert {
    condition     = alicloud_fcv3_function.this.timeout > 8 && alicloud_fcv3_function.this.timeout < 15
    error_message = "the time-out must be ingest-fn's 8 s and a margin"
  }
}
