mock_provider "alicloud" {
  mock_resource "alicloud_alb_load_balancer" {
    defaults = {
      id = "alb-1"
    }
  }
}

variables {
  name                     = "spillway-test"
  image                    = "registry.example.com/spillway/drain-worker@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
  vpc_id                   = "vpc-1"
  vswitch_ids              = { cn-hangzhou-j = "vsw-j", cn-hangzhou-k = "vsw-k" }
  security_group_id        = "sg-worker"
  database_connections_max = 1800
  log                      = { project = "spillway-test", logstore = "worker" }
  environment = {
    SPILLWAY_DATABASE_URL    = "mysql://spillway_worker:x@db:3306/spillway"
    SPILLWAY_ADMIN_TOKEN     = "not-a-token-at-all"
    SPILLWAY_GATEWAY_SECRETS = "Key2026a=not-a-secret"
    SPILLWAY_IDENTITY_HEADER = "X-Spillway-User"
  }
}

run "the_application_spans_two_zones" {
  command = plan

  assert {
    condition     = alicloud_sae_application.this.vswitch_id == "vsw-j,vsw-k"
    error_message = "the application must be in both zones"
  }
  assert {
    condition     = alicloud_sae_application.this.replicas >= 2 && alicloud_sae_application.this.package_type == "Image"
    error_message = "there must be at least two workers from the image"
  }
  assert {
    condition     = alicloud_sae_application.this.security_group_id == "sg-worker"
    error_message = "the application must be in the workers' security group"
  }
}

run "probes_use_readyz_and_healthz" {
  command = plan

  assert {
    condition = (
      alicloud_sae_application.this.readiness_v2[0].http_get[0].path == "/readyz/lookups" &&
      alicloud_sae_application.this.readiness_v2[0].http_get[0].port == 9101
    )
    error_message = "the readiness probe must use /readyz/lookups on the admin port"
  }
  assert {
    condition = (
      alicloud_sae_application.this.liveness_v2[0].http_get[0].path == "/healthz" &&
      alicloud_sae_application.this.liveness_v2[0].http_get[0].port == 9101
    )
    error_message = "the liveness probe must use /healthz: a database outage must not restart workers"
  }
  # What is left out is sent as 0 (the provider's resource_alicloud_sae_application.go, v1.289.0). A success threshold of
  # the liveness probe must be 1 and has no argument.
  assert {
    condition = alltrue([for number in [
      alicloud_sae_application.this.readiness_v2[0].initial_delay_seconds,
      alicloud_sae_application.this.readiness_v2[0].period_seconds,
      alicloud_sae_application.this.readiness_v2[0].timeout_seconds,
      alicloud_sae_application.this.readiness_v2[0].success_threshold,
      alicloud_sae_application.this.readiness_v2[0].failure_threshold,
      alicloud_sae_application.this.liveness_v2[0].initial_delay_seconds,
      alicloud_sae_application.this.liveness_v2[0].period_seconds,
      alicloud_sae_application.this.liveness_v2[0].timeout_seconds,
      alicloud_sae_application.this.liveness_v2[0].failure_threshold,
    ] : try(number > 0, false)])
    error_message = "every number of both probes must be set"
  }
}

run "the_platforms_grace_is_longer_than_the_drains" {
  command = plan

  assert {
    condition     = alicloud_sae_application.this.termination_grace_period_seconds == 40
    error_message = "the platform's grace must be 40 s"
  }
  assert {
    condition = (
      alicloud_sae_application.this.termination_grace_period_seconds * 1000 >
      tonumber(one([for env in jsondecode(nonsensitive(alicloud_sae_application.this.envs)) : env.value if env.name == "SPILLWAY_DRAIN_GRACE_MS"]))
    )
    error_message = "the platform's grace must be longer than the worker's"
  }
}

run "a_stop_timeout_that_is_too_short_is_rejected" {
  command = plan
  variables {
    grace_s = 20
  }
  expect_failures = [var.grace_s]
}

run "releases_roll_one_batch_at_a_time" {
  command = plan

  assert {
    condition = (
      alicloud_sae_application.this.min_ready_instances >= 1 &&
      alicloud_sae_application.this.update_strategy_v2[0].type == "BatchUpdate" &&
      alicloud_sae_application.this.update_strategy_v2[0].batch_update[0].batch == 2 &&
      # Minutes: a rollout with longer waits is not over when the release's time ends.
      alicloud_sae_application.this.update_strategy_v2[0].batch_update[0].batch_wait_time == 1 &&
      alicloud_sae_application.this.update_strategy_v2[0].batch_update[0].release_type == "auto"
    )
    error_message = "a rollout must leave at least one worker ready"
  }
}

run "the_log_goes_to_its_logstore" {
  command = plan

  assert {
    condition = (
      jsondecode(alicloud_sae_application.this.sls_configs)[0].logType == "stdout" &&
      jsondecode(alicloud_sae_application.this.sls_configs)[0].projectName == "spillway-test" &&
      jsondecode(alicloud_sae_application.this.sls_configs)[0].logstoreName == "worker"
    )
    error_message = "standard output must go to the logstore"
  }
}

run "secrets_can_come_from_the_namespace" {
  command = plan
  variables {
    environment = { SPILLWAY_LOG = "info" }
    secrets = {
      SPILLWAY_DATABASE_URL = { secret_id = 7, key = "database-url" }
      SPILLWAY_ADMIN_TOKEN  = { secret_id = 7, key = "admin-token" }
    }
  }

  assert {
    condition = contains(
      [for env in jsondecode(nonsensitive(alicloud_sae_application.this.envs)) : jsonencode(env)],
      jsonencode({ name = "SPILLWAY_DATABASE_URL", valueFrom = { secretRef = { key = "database-url", secretId = 7 } } }),
    )
    error_message = "the environment must have a reference, so that no value is in the state"
  }
}

# CreateNamespace of SAE (2026-01): at most 20 characters, lower-case letters and digits alone.
run "the_namespace_has_a_short_id_that_the_service_accepts" {
  command = plan
  variables {
    name = "spillway-production-west"
  }

  assert {
    condition     = can(regex("^[a-z0-9]{1,20}$", alicloud_sae_namespace.this.namespace_short_id))
    error_message = "the short id must be 1 to 20 lower-case letters and digits"
  }
}

run "one_worker_is_rejected" {
  command = plan
  variables {
    replicas = 1
  }
  expect_failures = [var.replicas]
}

run "one_zone_is_rejected" {
  command = plan
  variables {
    vswitch_ids = { cn-hangzhou-j = "vsw-j" }
  }
  expect_failures = [var.vswitch_ids]
}

run "a_mutable_tag_is_rejected" {
  command = plan
  variables {
    image = "registry.example.com/spillway/drain-worker:0.1.0"
  }
  expect_failures = [var.image]
}

run "the_tag_of_a_release_is_accepted" {
  command = plan
  variables {
    image = "registry.example.com/spillway/drain-worker:0123456789ab-cdef01234567"
  }
}

run "too_little_memory_is_rejected" {
  command = plan
  variables {
    cpu_millicores = 4000
  }
  expect_failures = [var.memory_mb]
}
