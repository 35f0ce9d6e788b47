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

run "an_admin_port_without_a_token_is_rejected" {
  command = plan
  variables {
    environment = { SPILLWAY_DATABASE_URL = "mysql://spillway_worker:x@db:3306/spillway" }
  }
  expect_failures = [var.environment]
}

run "a_short_token_is_rejected" {
  command = plan
  variables {
    environment = { SPILLWAY_DATABASE_URL = "mysql://spillway_worker:x@db:3306/spillway", SPILLWAY_ADMIN_TOKEN = "short" }
  }
  expect_failures = [var.environment]
}

run "an_unsigned_identity_header_is_rejected" {
  command = plan
  variables {
    environment = {
      SPILLWAY_DATABASE_URL    = "mysql://spillway_worker:x@db:3306/spillway"
      SPILLWAY_ADMIN_TOKEN     = "not-a-token-at-all"
      SPILLWAY_IDENTITY_HEADER = "X-Spillway-User"
    }
  }
  expect_failures = [var.environment]
}

run "one_port_for_query_and_admin_is_rejected" {
  command = plan
  variables {
    admin_port = 9100
  }
  expect_failures = [var.admin_port]
}
