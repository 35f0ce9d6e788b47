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

run "high_cpu_adds_workers" {
  command = plan

  assert {
    condition = (
      one(alicloud_sae_application_scaling_rule.lag[0].scaling_rule_metric).min_replicas == 2 &&
      one(alicloud_sae_application_scaling_rule.lag[0].scaling_rule_metric).max_replicas == 8
    )
    error_message = "the rule must scale between replicas_min and replicas_max"
  }
  assert {
    condition     = alicloud_sae_application_scaling_rule.lag[0].scaling_rule_enable == true && alicloud_sae_application_scaling_rule.lag[0].min_ready_instances >= 1
    error_message = "the rule must be enabled"
  }
  assert {
    condition     = toset([for metric in one(alicloud_sae_application_scaling_rule.lag[0].scaling_rule_metric).metrics : "${metric.metric_type} ${metric.metric_target_average_utilization}"]) == toset(["CPU 60"])
    error_message = "the rule must scale by CPU"
  }
}

run "two_workers_get_the_initial_rate" {
  command = plan
  variables {
    replicas_min = 2
    replicas_max = 2
  }

  assert {
    condition     = one([for env in jsondecode(nonsensitive(alicloud_sae_application.this.envs)) : env.value if env.name == "SPILLWAY_INITIAL_RATE"]) == "2000"
    error_message = "the initial rate must be the pool's"
  }
}

run "fifty_workers_get_the_same_initial_rate" {
  command = plan
  variables {
    replicas_min = 50
    replicas_max = 50
  }

  assert {
    condition     = one([for env in jsondecode(nonsensitive(alicloud_sae_application.this.envs)) : env.value if env.name == "SPILLWAY_INITIAL_RATE"]) == "2000"
    error_message = "scaling must never raise the pool's cap"
  }
}

run "a_cap_in_the_environment_is_rejected" {
  command = plan
  variables {
    environment = {
      SPILLWAY_DATABASE_URL = "mysql://spillway_worker:x@db:3306/spillway"
      SPILLWAY_ADMIN_TOKEN  = "not-a-token-at-all"
      SPILLWAY_INITIAL_RATE = "100000"
    }
  }
  expect_failures = [var.environment]
}

run "scaling_can_be_disabled" {
  command = plan
  variables {
    lag_scaling = null
  }

  assert {
    condition     = length(alicloud_sae_application_scaling_rule.lag) == 0
    error_message = "there must be no scaling rule"
  }
}

run "adding_workers_slower_than_removing_them_is_rejected" {
  command = plan
  variables {
    lag_scaling = { up_after_s = 600, down_after_s = 60 }
  }
  expect_failures = [var.lag_scaling]
}
