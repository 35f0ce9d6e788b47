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

run "the_smallest_pair_of_loadtest_plan_is_accepted" {
  command = plan
  variables {
    cpu       = 0.1
    memory_mb = 128
  }
  assert {
    condition     = alicloud_fcv3_function.this.cpu == 0.1 && alicloud_fcv3_function.this.memory_size == 128
    error_message = "the smallest pair of loadtest plan must be accepted"
  }
}

run "memory_of_four_times_the_cpu_is_accepted" {
  command = plan
  variables {
    cpu       = 2
    memory_mb = 8192
  }
  assert {
    condition     = alicloud_fcv3_function.this.memory_size == 8192
    error_message = "4 GB for each vCPU must be accepted"
  }
}

run "too_little_memory_for_the_cpu_is_rejected" {
  command = plan
  variables {
    cpu       = 1
    memory_mb = 960
  }
  expect_failures = [var.memory_mb]
}

run "too_much_memory_for_the_cpu_is_rejected" {
  command = plan
  variables {
    cpu       = 0.1
    memory_mb = 512
  }
  expect_failures = [var.memory_mb]
}

run "memory_outside_its_steps_is_rejected" {
  command = plan
  variables {
    memory_mb = 600
  }
  expect_failures = [var.memory_mb]
}

run "cpu_outside_its_steps_is_rejected" {
  command = plan
  variables {
    cpu = 0.33
  }
  expect_failures = [var.cpu]
}

run "a_mutable_tag_is_rejected" {
  command = plan
  variables {
    image = "registry.example.com/spillway/ingest-fn:0.1.0"
  }
  expect_failures = [var.image]
}

run "the_tag_of_a_release_is_accepted" {
  command = plan
  variables {
    image = "registry.example.com/spillway/ingest-fn:0123456789ab-cdef01234567"
  }
}

run "concurrency_above_the_limit_is_rejected" {
  command = plan
  variables {
    concurrency = 201
  }
  expect_failures = [var.concurrency]
}
