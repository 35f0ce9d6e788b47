# The article's first failure: more connections than the database had. Here the plan checks the largest pool against the
# database's limit.
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

run "connection_bomb" {
  command = plan
  variables {
    # 400 connections, twice for killed workers. Their statements fit, so nothing else rejects the pool.
    replicas                 = 50
    database_connections_max = 300
  }
  expect_failures = [var.replicas]
}

run "the_largest_pool_within_the_connection_limit_is_accepted" {
  command = plan
  variables {
    # 50 workers with 4 + 2 + 1 connections and an operator's: 400, twice for killed workers.
    replicas                 = 50
    database_connections_max = 800
  }

  assert {
    condition     = output.connections_max == 400
    error_message = "the output must count the connections of all workers"
  }
}

run "a_pool_above_the_connection_limit_is_rejected" {
  command = plan
  variables {
    replicas                 = 50
    database_connections_max = 799
  }
  expect_failures = [var.replicas]
}

# max_prepared_stmt_count is 16,382 by default (MySQL 8.0 manual, "Server System Variables"). 40 statements a connection:
# drain-worker's `--test store statements` counts them at the server.
run "a_pool_that_prepares_more_statements_than_the_server_allows_is_rejected" {
  command = plan
  variables {
    # 50 x 9 connections x 40 = 18,000.
    replicas                 = 50
    database_writers_max     = 6
    database_connections_max = 1800
  }
  expect_failures = [var.replicas]
}

run "workers_have_their_connection_limits" {
  command = plan
  variables {
    database_writers_max = 2
    database_readers_max = 1
  }

  assert {
    condition = toset([
      for env in jsondecode(nonsensitive(alicloud_sae_application.this.envs)) : "${env.name}=${env.value}" if startswith(env.name, "SPILLWAY_DATABASE_") && endswith(env.name, "_MAX")
    ]) == toset(["SPILLWAY_DATABASE_WRITERS_MAX=2", "SPILLWAY_DATABASE_READERS_MAX=1"])
    error_message = "the workers must have the limits that the plan counts"
  }
}
