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

run "no_warm_instances_without_a_sale" {
  command = plan

  assert {
    condition     = length(alicloud_fcv3_provision_config.this) == 0 && length(output.provision_actions) == 0
    error_message = "without a sale there must be no warm instances"
  }
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

run "two_sales_on_one_day_have_separate_actions" {
  command = plan
  variables {
    sale_windows = [
      { name = "noon", opens_at = "2026-11-11T12:00:00", closes_at = "2026-11-11T12:30:00", instances = 50 },
      { name = "evening", opens_at = "2026-11-11T20:00:00", closes_at = "2026-11-11T21:00:00", instances = 30 },
    ]
  }

  assert {
    condition     = [for action in output.provision_actions : "${action.name} ${action.target}"] == ["noon-warm 50", "noon-cool 0", "evening-warm 30", "evening-cool 0"]
    error_message = "each sale must be warmed and cooled"
  }
}

run "each_action_fires_at_most_once" {
  command = plan
  variables {
    sale_windows = [
      { name = "noon", opens_at = "2026-11-11T12:00:00", closes_at = "2026-11-12T12:30:00", instances = 50 },
    ]
  }

  assert {
    condition = alltrue([
      for action in output.provision_actions :
      timecmp("${action.end_time}Z", timeadd("${action.start_time}Z", "8700h")) < 0
    ])
    error_message = "the period of an action must be shorter than a year, because its cron expression fires every year"
  }
}

run "a_sale_that_closes_before_it_opens_is_rejected" {
  command = plan
  variables {
    sale_windows = [{ name = "noon", opens_at = "2026-11-11T12:30:00", closes_at = "2026-11-11T12:00:00", instances = 50 }]
  }
  expect_failures = [var.sale_windows]
}

run "overlapping_sales_are_rejected" {
  command = plan
  variables {
    sale_windows = [
      { name = "noon", opens_at = "2026-11-11T12:00:00", closes_at = "2026-11-11T12:30:00", instances = 50 },
      { name = "other", opens_at = "2026-11-11T12:15:00", closes_at = "2026-11-11T13:00:00", instances = 30 },
    ]
  }
  expect_failures = [var.sale_windows]
}

run "a_sale_cooled_by_the_previous_sale_is_rejected" {
  command = plan
  variables {
    # The second sale is warmed at 12:31, and the first one's cooling at 12:35 would stop its instances.
    sale_windows = [
      { name = "noon", opens_at = "2026-11-11T12:00:00", closes_at = "2026-11-11T12:30:00", instances = 50 },
      { name = "other", opens_at = "2026-11-11T12:41:00", closes_at = "2026-11-11T13:00:00", instances = 30 },
    ]
  }
  expect_failures = [var.sale_windows]
}

run "more_warm_instances_than_reserved_concurrency_are_rejected" {
  command = plan
  variables {
    reserved_concurrency = 40
    sale_windows         = [{ name = "noon", opens_at = "2026-11-11T12:00:00", closes_at = "2026-11-11T12:30:00", instances = 50 }]
  }
  expect_failures = [var.sale_windows]
}

run "a_time_with_a_zone_is_rejected" {
  command = plan
  variables {
    sale_windows = [{ name = "noon", opens_at = "2026-11-11T12:00:00+08:00", closes_at = "2026-11-11T12:30:00+08:00", instances = 50 }]
  }
  expect_failures = [var.sale_windows]
}

run "an_invalid_date_is_rejected" {
  command = plan
  variables {
    sale_windows = [{ name = "noon", opens_at = "2026-02-30T12:00:00", closes_at = "2026-02-30T12:30:00", instances = 50 }]
  }
  expect_failures = [var.sale_windows]
}

run "a_time_zone_abbreviation_is_rejected" {
  command = plan
  variables {
    time_zone = "CST"
  }
  expect_failures = [var.time_zone]
}

run "a_sale_without_an_end_is_rejected" {
  command = plan
  variables {
    sale_windows = [{ name = "noon", opens_at = "2026-11-11T12:00:00", closes_at = "2027-11-11T12:30:00", instances = 50 }]
  }
  expect_failures = [var.sale_windows]
}
