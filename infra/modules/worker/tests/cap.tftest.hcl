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

run "two_workers_get_the_initial_rate" {
  command = plan
  variables {
    replicas = 2
  }

  assert {
    condition     = one([for env in jsondecode(nonsensitive(alicloud_sae_application.this.envs)) : env.value if env.name == "SPILLWAY_INITIAL_RATE"]) == "2000"
    error_message = "the initial rate must be the pool's"
  }
}

run "fifty_workers_get_the_same_initial_rate" {
  command = plan
  variables {
    replicas = 50
  }

  assert {
    condition     = one([for env in jsondecode(nonsensitive(alicloud_sae_application.this.envs)) : env.value if env.name == "SPILLWAY_INITIAL_RATE"]) == "2000"
    error_message = "more workers must not raise the pool's cap"
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
