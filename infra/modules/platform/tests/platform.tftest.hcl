mock_provider "alicloud" {
  mock_resource "alicloud_nat_gateway" {
    defaults = {
      id             = "ngw-1"
      snat_table_ids = "stb-1"
    }
  }
  mock_resource "alicloud_rocketmq_instance" {
    defaults = {
      id = "rmq-cn-1"
      network_info = {
        endpoints = [{ endpoint_type = "TCP_VPC", endpoint_url = "rmq-cn-1-vpc.cn-hangzhou.rmq.aliyuncs.com:8080", ip_white_list = [] }]
      }
    }
  }
  mock_resource "alicloud_polardb_cluster" {
    defaults = {
      id                = "pc-1"
      connection_string = "pc-1.rwlb.rds.aliyuncs.com"
      port              = "3306"
    }
  }
  mock_resource "alicloud_polardb_endpoint" {
    defaults = {
      ssl_connection_string = "pc-1-worker.rwlb.rds.aliyuncs.com"
      db_endpoint_id        = "pe-1"
    }
  }
  mock_resource "alicloud_fcv3_trigger" {
    defaults = {
      http_trigger = [{ url_internet = "https://spillway-test.cn-hangzhou.fcapp.run", url_intranet = "https://spillway-test.cn-hangzhou-vpc.fcapp.run" }]
    }
  }
  mock_resource "alicloud_fcv3_function" {
    defaults = {
      function_arn = "acs:fc:cn-hangzhou:1234567890123456:functions/spillway-test-ingest"
    }
  }
  mock_resource "alicloud_cr_ee_instance" {
    defaults = {
      id                 = "cri-1"
      instance_endpoints = []
    }
  }
}

variables {
  name       = "spillway-test"
  region     = "cn-hangzhou"
  account_id = "1234567890123456"
  images = {
    ingest_fn    = "registry.example.com/spillway/ingest-fn@sha256:0000000000000000000000000000000000000000000000000000000000000000"
    drain_worker = "registry.example.com/spillway/drain-worker@sha256:0000000000000000000000000000000000000000000000000000000000000000"
  }
  subnets = [
    { zone = "cn-hangzhou-j", function_cidr = "10.0.0.0/24", worker_cidr = "10.0.3.0/24", data_cidr = "10.0.2.0/25" },
    { zone = "cn-hangzhou-k", function_cidr = "10.0.1.0/24", worker_cidr = "10.0.4.0/24", data_cidr = "10.0.2.128/25" },
  ]
  function = { cpu = 0.1, memory_mb = 128, reserved_concurrency = 30 }
  worker   = { replicas_max = 8 }
  broker   = { spec = "rmq.p2.100xlarge", series = "professional", sub_series = "cluster_ha" }
  database = { node_class = "polar.mysql.x4.medium" }
  gateway = {
    jwk                = { kty = "RSA", n = "AQAB", e = "AQAB" }
    orders_per_second  = 1000
    lookups_per_second = 500
  }
  github   = { repository = "example/spillway", environments = ["prod"] }
  contacts = [{ name = "oncall", email = "oncall@example.com" }]
  secrets = {
    broker_function   = "broker-function-password"
    broker_worker     = "broker-worker-password"
    database_worker   = "Worker-p@ss+word1"
    database_migrator = "Migrator-password1"
    database_tune     = "Tune-password-1"
    gateway           = "sale2026a=first-secret-of-two,sale2026b=second-secret-of-two"
    admin_token       = "admin-token-of-a-test"
    order_id_keys     = "k2026a=00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
  }
}

# Not what was asked for: what each function and worker really sits in, against what really has an entry.
run "snat_black_hole" {
  assert {
    condition     = length(setsubtract(values(output.function_vswitch_ids), values(output.ways_out))) == 0 && length(output.function_vswitch_ids) == 2
    error_message = "every vSwitch that a function sits in has a way out"
  }
  assert {
    condition     = length(setsubtract(values(module.network.worker_vswitch_ids), values(output.ways_out))) == 0
    error_message = "every vSwitch that a worker sits in has a way out"
  }
  assert {
    condition     = length(setintersection(values(module.network.data_vswitch_ids), values(output.ways_out))) == 0
    error_message = "data has none"
  }
}

run "connection_bomb" {
  assert {
    condition = alltrue([
      for name, value in nonsensitive(local.function_environment) : !strcontains(lower(name), "database") && !strcontains(lower(value), "mysql")
    ])
    error_message = "the function is told of no database"
  }
  assert {
    condition     = 2 * module.worker.connections_max <= module.database.connections_max
    error_message = "the workers' connections, counted twice, fit the class"
  }
}

run "the_services_are_told_what_they_need" {
  assert {
    condition = toset(nonsensitive(keys(local.function_environment))) == toset([
      "SPILLWAY_CATALOGUE", "SPILLWAY_GATEWAY_SECRETS", "SPILLWAY_IDENTITY_HEADER", "SPILLWAY_LOG_FORMAT", "SPILLWAY_ORDERS_TOPIC",
      "SPILLWAY_ORDER_ID_KEYS", "SPILLWAY_ROCKETMQ_ACCESS_KEY", "SPILLWAY_ROCKETMQ_ENDPOINT", "SPILLWAY_ROCKETMQ_SECRET_KEY",
    ])
    error_message = "the function's environment"
  }
  assert {
    condition     = nonsensitive(local.worker_environment["SPILLWAY_DATABASE_URL"]) == "mysql://${module.database.account_names.worker}:Worker-p%40ss%2Bword1@${module.database.host_worker}:${module.database.port}/spillway?ssl-mode=REQUIRED"
    error_message = "the worker's address of the database, its password encoded: ${nonsensitive(local.worker_environment["SPILLWAY_DATABASE_URL"])}"
  }
  assert {
    condition = (
      nonsensitive(local.worker_environment["SPILLWAY_DEAD_LETTER_TOPIC"]) == module.rocketmq.topic_names.dead_letters &&
      nonsensitive(local.worker_environment["SPILLWAY_DEAD_LETTER_GROUP"]) == module.rocketmq.group_names.dead_letters &&
      nonsensitive(local.worker_environment["SPILLWAY_BROKER_RETENTION_H"]) == "72"
    )
    error_message = "where the broker's dead letters are, and how long it keeps what"
  }
  assert {
    condition = nonsensitive(
      local.function_environment["SPILLWAY_ROCKETMQ_SECRET_KEY"] == "broker-function-password" &&
      local.worker_environment["SPILLWAY_ROCKETMQ_SECRET_KEY"] == "broker-worker-password"
    )
    error_message = "each has its own account at the broker"
  }
}

# The gateway signs with the first, function and workers take both: so that one can take the other's place.
run "a_signing_secret_can_be_changed_while_orders_come" {
  assert {
    condition     = nonsensitive(local.backend_secret) == { key = "sale2026a", secret = "first-secret-of-two" }
    error_message = "the gateway signs with the first"
  }
  assert {
    condition = nonsensitive(
      local.function_environment["SPILLWAY_GATEWAY_SECRETS"] == var.secrets.gateway && local.worker_environment["SPILLWAY_GATEWAY_SECRETS"] == var.secrets.gateway
    )
    error_message = "both are taken"
  }
  assert {
    condition     = nonsensitive(local.worker_environment["SPILLWAY_IDENTITY_HEADER"]) == "X-Spillway-User" && nonsensitive(local.function_environment["SPILLWAY_IDENTITY_HEADER"]) == "X-Spillway-User"
    error_message = "both are told the buyer in the same header"
  }
}

run "no_output_has_a_secret" {
  assert {
    condition = alltrue([
      for value in nonsensitive([
        var.secrets.broker_function, var.secrets.broker_worker, var.secrets.database_worker, var.secrets.database_migrator, var.secrets.database_tune,
        "first-secret-of-two", "second-secret-of-two", var.secrets.admin_token, split("=", var.secrets.order_id_keys)[1],
      ]) :
      !strcontains(jsonencode([
        output.vpc_id, output.routes, output.gateway_sub_domain, output.domain_steps, output.function, output.provision_actions,
        output.worker_application_id, output.repository_urls, output.database, output.rocketmq_endpoint, output.role_arns, output.secret_names,
        output.alert_names, output.logs,
      ]), value)
    ])
    error_message = "an output tells a secret"
  }
}

run "the_public_routes_are_exactly_these" {
  assert {
    condition     = toset([for route in output.routes : split(" →", route)[0]]) == toset(["POST /v1/orders", "GET /v1/orders/{order_id}"])
    error_message = "what the services serve today: ${jsonencode(output.routes)}"
  }
}

run "the_pipeline_reads_two_secrets" {
  assert {
    condition = toset(flatten([
      for statement in jsondecode(module.ram.policies.deployer).Statement : statement.Resource if contains(statement.Action, "kms:GetSecretValue")
      ])) == toset([
      "acs:kms:cn-hangzhou:1234567890123456:secret/spillway-test-migrator-url",
      "acs:kms:cn-hangzhou:1234567890123456:secret/spillway-test-broker-worker",
    ])
    error_message = "the migrator's address and the worker's password"
  }
}

run "the_broker_s_fence_is_wider_than_the_cap" {
  variables {
    worker = { replicas_max = 8, rate_seed = 3000 }
  }

  assert {
    condition     = nonsensitive(local.broker_environment["SPILLWAY_ORDERS_TOPIC"]) == "orders" && module.rocketmq.group_names.drain == "drain"
    error_message = "topic and group"
  }
}

run "a_function_outside_the_vpc_is_refused_while_the_broker_is_inside" {
  command = plan

  variables {
    function = { cpu = 0.1, memory_mb = 128, reserved_concurrency = 30, in_vpc = false }
  }

  expect_failures = [var.function]
}

run "secrets_that_cannot_be_read_are_refused" {
  command = plan

  variables {
    secrets = {
      broker_function   = "broker-function-password"
      broker_worker     = "broker-worker-password"
      database_worker   = "Worker-password-1"
      database_migrator = "Migrator-password1"
      database_tune     = "Tune-password-1"
      gateway           = "nameless"
      admin_token       = "short"
      order_id_keys     = "k2026a=not-hex"
    }
  }

  expect_failures = [var.secrets]
}
