mock_provider "alicloud" {
  mock_resource "alicloud_alb_load_balancer" {
    defaults = {
      id = "alb-1"
    }
  }
}

variables {
  resource_group_id        = "rg-1"
  registry_instance_id     = "cri-1"
  size                     = { replicas = 4, cpu_millicores = 1000, memory_mb = 2048, initial_rate = 2000 }
  load_balancer_edition    = "Standard"
  deletion_protection      = true
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

run "fifty_workers_get_the_same_initial_rate" {
  command = plan
  variables {
    size = { replicas = 50, cpu_millicores = 1000, memory_mb = 2048, initial_rate = 2000 }
  }

  assert {
    condition     = one([for env in jsondecode(nonsensitive(alicloud_sae_application.this.envs)) : env.value if env.name == "SPILLWAY_INITIAL_RATE"]) == "2000"
    error_message = "more workers must not raise the pool's cap"
  }
}

run "connection_bomb" {
  command = plan
  variables {
    # 400 connections, twice for killed workers. Their statements fit, so nothing else rejects the pool.
    size                     = { replicas = 50, cpu_millicores = 1000, memory_mb = 2048, initial_rate = 2000 }
    database_connections_max = 300
  }
  expect_failures = [var.size]
}

run "the_load_balancer_exposes_the_query_port_only" {
  command = plan

  assert {
    condition = (
      alltrue([for rule in alicloud_sae_ingress.query.rules : rule.container_port == 9100]) &&
      alltrue([for rule in alicloud_sae_ingress.query.default_rule : rule.container_port == 9100])
    )
    error_message = "no rule may lead to the admin port"
  }
  assert {
    condition     = alicloud_alb_load_balancer.query.address_type == "Intranet"
    error_message = "the load balancer must be internal"
  }
  assert {
    condition     = toset([for zone in alicloud_alb_load_balancer.query.zone_mappings : "${zone.zone_id} ${zone.vswitch_id}"]) == toset(["cn-hangzhou-j vsw-j", "cn-hangzhou-k vsw-k"])
    error_message = "the load balancer must be in both zones"
  }
  assert {
    condition     = alicloud_sae_ingress.query.load_balance_type == "alb"
    error_message = "the load balancer must be an ALB, which the provider can make and the gateway can use"
  }
}

run "outputs_have_the_lookup_address" {
  command = apply

  assert {
    condition     = output.query_backend == { vpc_id = "vpc-1", instance_id = "alb-1", port = 80, host = "query.spillway.internal" }
    error_message = "the output must have load balancer, port and host"
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

run "bad_values_are_rejected" {
  command = plan

  variables {
    # a cap in the environment
    environment = {
      SPILLWAY_DATABASE_URL = "mysql://spillway_worker:x@db:3306/spillway"
      SPILLWAY_ADMIN_TOKEN  = "not-a-token-at-all"
      SPILLWAY_INITIAL_RATE = "100000"
    }
    # a pool above the connection limit
    size                     = { replicas = 50, cpu_millicores = 1000, memory_mb = 2048, initial_rate = 2000 }
    database_connections_max = 799
    # a mutable tag
    image = "registry.example.com/spillway/drain-worker:0.1.0"
  }

  expect_failures = [var.environment, var.size, var.image]
}

run "bad_values_are_rejected_2" {
  command = plan

  variables {
    # an admin port without a token
    environment = { SPILLWAY_DATABASE_URL = "mysql://spillway_worker:x@db:3306/spillway" }
    # one worker
    size = { replicas = 1, cpu_millicores = 1000, memory_mb = 2048, initial_rate = 2000 }
  }

  expect_failures = [var.environment, var.size]
}

run "bad_values_are_rejected_3" {
  command = plan

  variables {
    # an unsigned identity header
    environment = {
      SPILLWAY_DATABASE_URL    = "mysql://spillway_worker:x@db:3306/spillway"
      SPILLWAY_ADMIN_TOKEN     = "not-a-token-at-all"
      SPILLWAY_IDENTITY_HEADER = "X-Spillway-User"
    }
  }

  expect_failures = [var.environment]
}
