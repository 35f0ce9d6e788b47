mock_provider "alicloud" {
  mock_data "alicloud_account" {
    defaults = {
      id = "1234567890123456"
    }
  }
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
  mock_resource "alicloud_eip_address" {
    defaults = {
      ip_address = "203.0.113.9"
    }
  }
  mock_resource "alicloud_polardb_cluster" {
    defaults = {
      id = "pc-1"
    }
  }
  mock_resource "alicloud_polardb_endpoint" {
    defaults = {
      db_endpoint_id = "pe-worker"
    }
  }
  mock_resource "alicloud_polardb_primary_endpoint" {
    defaults = {
      db_endpoint_id = "pe-primary"
    }
  }
  mock_data "alicloud_polardb_endpoints" {
    defaults = {
      endpoints = [
        { db_endpoint_id = "pe-primary", endpoint_type = "Primary", address_items = [{ net_type = "Private", connection_string = "pc-1.mysql.polardb.rds.aliyuncs.com" }] },
        { db_endpoint_id = "pe-worker", endpoint_type = "Custom", address_items = [{ net_type = "Private", connection_string = "spillway-test-worker.rwlb.rds.aliyuncs.com" }] },
      ]
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
  mock_data "alicloud_images" {
    defaults = {
      images = [{ id = "ubuntu_24_04_x64_20G_alibase_20260901.vhd" }]
    }
  }
  mock_data "alicloud_cr_ee_instances" {
    defaults = {
      ids = ["cri-1"]
    }
  }
  mock_data "alicloud_resource_manager_resource_groups" {
    defaults = {
      ids = ["rg-1"]
    }
  }
}

mock_provider "alicloud" {
  alias = "records"
}

variables {
  name         = "spillway-test"
  region       = "cn-hangzhou"
  ingest_image = "registry.example.com/spillway/ingest-fn@sha256:0000000000000000000000000000000000000000000000000000000000000000"
  worker_image = "registry.example.com/spillway/drain-worker@sha256:0000000000000000000000000000000000000000000000000000000000000000"
  subnets = [
    { zone = "cn-hangzhou-j", function_cidr = "10.0.0.0/24", worker_cidr = "10.0.3.0/24", data_cidr = "10.0.2.0/25" },
    { zone = "cn-hangzhou-k", function_cidr = "10.0.1.0/24", worker_cidr = "10.0.4.0/24", data_cidr = "10.0.2.128/25" },
  ]
  function = { cpu = 0.1, memory_mb = 128, reserved_concurrency = 30 }
  worker   = { replicas = 8 }
  broker   = { spec = "rmq.p2.100xlarge", series = "professional", sub_series = "cluster_ha" }
  database = { node_class = "polar.mysql.x4.medium" }
  gateway = {
    orders_per_second  = 1000
    lookups_per_second = 500
  }
  jwk      = { kty = "RSA", n = "AQAB", e = "AQAB" }
  contacts = [{ name = "oncall", email = "oncall@example.com" }]
  secrets = {
    broker_function   = "a=broker-function-password"
    broker_worker     = "broker-worker-password"
    database_worker   = "Worker-p@ss+word1"
    database_migrator = "Migrator-password1"
    database_tune     = "Tune-password-1"
    gateway           = "sale2026a=first-secret-of-two,sale2026b=second-secret-of-two"
    admin_token       = "admin-token-of-a-test"
    order_id_keys     = "k2026a=00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
  }
}

# Compares the vSwitches of functions and workers with the SNAT entries, both read from resources.
run "snat_black_hole" {
  assert {
    condition     = length(setsubtract(values(output.function_vswitch_ids), values(output.ways_out))) == 0 && length(output.function_vswitch_ids) == 2
    error_message = "every vSwitch of the function must have an SNAT entry"
  }
  assert {
    condition     = length(setsubtract(values(module.network.worker_vswitch_ids), values(output.ways_out))) == 0
    error_message = "every vSwitch of the workers must have an SNAT entry"
  }
  assert {
    condition     = contains(values(output.ways_out), output.operators.vswitch_id)
    error_message = "the operators' vSwitch must have an SNAT entry"
  }
  assert {
    condition     = length(setintersection(values(module.network.data_vswitch_ids), values(output.ways_out))) == 0
    error_message = "the data vSwitches must have no SNAT entry"
  }
}

run "connection_bomb" {
  assert {
    condition = alltrue([
      for name, value in nonsensitive(local.function_environment) : !strcontains(lower(name), "database") && !strcontains(lower(value), "mysql")
    ])
    error_message = "the function's environment must have no database"
  }
  assert {
    condition     = 2 * module.worker[0].connections_max <= module.database.connections_max
    error_message = "twice the workers' connections must fit the class"
  }
}

run "the_environments_have_what_the_services_need" {
  assert {
    condition = toset(nonsensitive(keys(local.function_environment))) == toset([
      "SPILLWAY_CATALOGUE", "SPILLWAY_GATEWAY_SECRETS", "SPILLWAY_IDENTITY_HEADER", "SPILLWAY_LOG_FORMAT", "SPILLWAY_ORDERS_TOPIC",
      "SPILLWAY_ORDER_ID_KEYS", "SPILLWAY_ROCKETMQ_ACCESS_KEY", "SPILLWAY_ROCKETMQ_ENDPOINT", "SPILLWAY_ROCKETMQ_SECRET_KEY",
    ])
    error_message = "the function's environment must have exactly these variables"
  }
  assert {
    condition     = nonsensitive(local.worker_environment["SPILLWAY_DATABASE_URL"]) == "mysql://${module.database.account_names.worker}:Worker-p%40ss%2Bword1@${module.database.host_worker}:${module.database.port}/spillway?ssl-mode=REQUIRED"
    error_message = "the worker's database URL must have an encoded password: ${nonsensitive(local.worker_environment["SPILLWAY_DATABASE_URL"])}"
  }
  assert {
    condition = (
      nonsensitive(local.worker_environment["SPILLWAY_DEAD_LETTER_TOPIC"]) == module.rocketmq.topic_names.dead_letters &&
      nonsensitive(local.worker_environment["SPILLWAY_DEAD_LETTER_GROUP"]) == module.rocketmq.group_names.dead_letters &&
      nonsensitive(local.worker_environment["SPILLWAY_BROKER_RETENTION_H"]) == "72"
    )
    error_message = "the worker must have the dead letter topic and group, and the broker's retention"
  }
  assert {
    condition = nonsensitive(
      local.function_environment["SPILLWAY_ROCKETMQ_SECRET_KEY"] == "broker-function-password" &&
      local.function_environment["SPILLWAY_ROCKETMQ_ACCESS_KEY"] == "spillway-test-function-a" &&
      local.worker_environment["SPILLWAY_ROCKETMQ_ACCESS_KEY"] == "spillway-test-worker" &&
      local.worker_environment["SPILLWAY_ROCKETMQ_SECRET_KEY"] == "broker-worker-password"
    )
    error_message = "function and worker must have their own accounts at the broker"
  }
}

# During a rotation the gateway signs with the first secret, and the services accept both.
run "the_gateway_secret_can_be_rotated_during_operation" {
  assert {
    condition     = nonsensitive(local.backend_secret) == { key = "sale2026a", secret = "first-secret-of-two" }
    error_message = "the gateway must sign with the first secret"
  }
  assert {
    condition = nonsensitive(
      local.function_environment["SPILLWAY_GATEWAY_SECRETS"] == var.secrets.gateway && local.worker_environment["SPILLWAY_GATEWAY_SECRETS"] == var.secrets.gateway
    )
    error_message = "the services must accept both secrets"
  }
  assert {
    condition     = nonsensitive(local.worker_environment["SPILLWAY_IDENTITY_HEADER"]) == "X-Spillway-User" && nonsensitive(local.function_environment["SPILLWAY_IDENTITY_HEADER"]) == "X-Spillway-User"
    error_message = "both services must have the same identity header"
  }
}

# The live version uses its account and password until the next release.
run "the_broker_password_can_be_rotated_during_operation" {
  variables {
    secrets = {
      broker_function   = "b=next=password+of+the+function,a=broker-function-password"
      broker_worker     = "broker-worker-password"
      database_worker   = "Worker-p@ss+word1"
      database_migrator = "Migrator-password1"
      database_tune     = "Tune-password-1"
      gateway           = "sale2026a=first-secret-of-two,sale2026b=second-secret-of-two"
      admin_token       = "admin-token-of-a-test"
      order_id_keys     = "k2026a=00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
    }
  }

  assert {
    condition     = toset(keys(module.rocketmq.account_names)) == toset(["function-a", "function-b", "worker"])
    error_message = "both accounts must exist"
  }
  assert {
    condition = nonsensitive(
      local.function_environment["SPILLWAY_ROCKETMQ_ACCESS_KEY"] == "spillway-test-function-b" &&
      local.function_environment["SPILLWAY_ROCKETMQ_SECRET_KEY"] == "next=password+of+the+function"
    )
    error_message = "the next version must use the first account"
  }
}

# Each of these once stopped an apply halfway or locked operators out.
run "the_runner_reaches_database_broker_registry_and_workers" {
  variables {
    operator_peer_cidrs = ["192.168.7.0/24"]
  }

  assert {
    condition = length(setsubtract([
      "data-ingress-database-10.0.5.0/24 tcp 3306/3306 10.0.5.0/24",
      "data-ingress-broker-8080-10.0.5.0/24 tcp 8080/8080 10.0.5.0/24",
      "data-ingress-broker-8081-10.0.5.0/24 tcp 8081/8081 10.0.5.0/24",
      "worker-ingress-operators-10.0.5.0/24 tcp 9101/9101 10.0.5.0/24",
      "worker-ingress-operators-192.168.7.0/24 tcp 9101/9101 192.168.7.0/24",
    ], module.network.reach)) == 0
    error_message = "operators must reach database, broker and workers: ${jsonencode(module.network.reach)}"
  }
  assert {
    condition     = contains(module.rocketmq.client_cidrs, "10.0.5.0/24") && contains(module.database.security_group_ids, output.operators.security_group_id)
    error_message = "broker and database must allow the runner"
  }
  assert {
    condition     = alicloud_cr_vpc_endpoint_linked_vpc.this.instance_id == "cri-1" && alicloud_cr_vpc_endpoint_linked_vpc.this.vpc_id == output.vpc_id
    error_message = "the account's registry must have an endpoint in the VPC"
  }
  assert {
    condition     = !contains(module.rocketmq.client_cidrs, "192.168.7.0/24")
    error_message = "a joined network must not reach the broker"
  }
}

# Options of the modules that the platform must set.
run "variables_reach_their_modules" {
  variables {
    webhook_cidrs = ["203.0.113.0/24"]
    alerts        = { broker_messages = 123000, oldest_message_h = 2 }
  }

  assert {
    condition     = module.gateway[0].logged
    error_message = "the gateway must have a log"
  }
  assert {
    condition     = module.function.trigger_auth == "function" && module.function.reserved_concurrency == 30
    error_message = "the trigger must authenticate, and instances must be limited"
  }
  assert {
    condition     = module.gateway[0].order_limits["place_order"] == 1000 && module.gateway[0].order_limits["look_up_order"] == 500
    error_message = "throttles must be as given: ${jsonencode(module.gateway[0].order_limits)}"
  }
  assert {
    condition     = module.worker[0].replicas == 8
    error_message = "replicas must reach the worker module"
  }
  assert {
    condition     = module.observability.limits == { messages = "123000", oldest_age_ms = "7200000" }
    error_message = "thresholds must reach the alarms: ${jsonencode(module.observability.limits)}"
  }
  assert {
    condition     = contains(module.network.reach, "worker-egress-webhooks-203.0.113.0/24 tcp 443/443 203.0.113.0/24")
    error_message = "workers must reach webhook_cidrs"
  }
  assert {
    condition = issensitive(var.secrets) && issensitive(local.migrator_url) && alltrue([
      for value in [
        local.function_environment["SPILLWAY_ROCKETMQ_SECRET_KEY"], local.function_environment["SPILLWAY_GATEWAY_SECRETS"],
        local.function_environment["SPILLWAY_ORDER_ID_KEYS"], local.worker_environment["SPILLWAY_DATABASE_URL"],
        local.worker_environment["SPILLWAY_ADMIN_TOKEN"],
      ] : issensitive(value)
    ])
    error_message = "secrets must be marked as sensitive"
  }
  # What infra/modules/ram composes for the same environment: its tests have the same names.
  assert {
    condition = (
      "${module.function.function_name} ${module.function.alias_name} ${module.observability.project}" == "spillway-test-ingest live spillway-test-1234567890123456" &&
      local.role_arns.function == "acs:ram::1234567890123456:role/spillway-test-function" && module.secrets.secret_names["migrator-url"] == "spillway-test-migrator-url"
    )
    error_message = "the policies of the account's root must have the real names"
  }
}

run "no_output_has_a_secret" {
  assert {
    condition = alltrue([
      for value in nonsensitive([
        split("=", var.secrets.broker_function)[1], var.secrets.broker_worker, var.secrets.database_worker, var.secrets.database_migrator, var.secrets.database_tune,
        "first-secret-of-two", "second-secret-of-two", var.secrets.admin_token, split("=", var.secrets.order_id_keys)[1],
      ]) :
      !strcontains(jsonencode([
        output.vpc_id, output.routes, output.gateway_sub_domain, output.gateway_group, output.api_url, output.runner, output.function, output.provision_actions,
        output.worker_application_id, output.database, output.rocketmq, output.operators, output.secret_names,
        output.alert_names, output.logs,
      ]), value)
    ])
    error_message = "no output may contain a secret"
  }
}

run "the_broker_receive_limit_can_be_raised_without_rolling_the_workers" {
  variables {
    worker = { replicas = 8, initial_rate = 3000, receive_tps_max = 20000 }
  }

  assert {
    condition     = output.rocketmq.drain_receive_tps_max == 20000
    error_message = "the broker's limit must be as given"
  }
  assert {
    condition     = nonsensitive(!strcontains(jsonencode(values(local.worker_environment)), "20000"))
    error_message = "the workers' environment must not contain the limit"
  }
}

# The first apply: the schema does not exist yet, and infra/deploy/migrate needs database, broker, network and secrets.
run "the_first_apply_makes_what_the_schema_needs" {
  variables {
    workers = false
  }

  assert {
    condition     = length(module.worker) == 0 && length(module.gateway) == 0 && output.routes == null && output.worker_application_id == null
    error_message = "there must be no worker, and no front door without one"
  }
  assert {
    condition = (
      output.database.host != null && output.rocketmq.endpoint == "rmq-cn-1-vpc.cn-hangzhou.rmq.aliyuncs.com:8080" && output.operators.vswitch_id != null &&
      output.function.name == "spillway-test-ingest" && contains(keys(output.secret_names), "migrator-url")
    )
    error_message = "there must be all that migrate needs"
  }
}

# `drain-worker`'s --admin-read-token: for callers who see everything and change nothing (drain-worker/README.md).
run "readers_may_have_a_token_of_their_own" {
  variables {
    secrets = merge(var.secrets, { admin_read_token = "read-token-of-a-test" })
  }

  assert {
    condition     = nonsensitive(local.worker_environment["SPILLWAY_ADMIN_READ_TOKEN"]) == "read-token-of-a-test" && contains(keys(output.secret_names), "admin-read-token")
    error_message = "the workers must have the token, and operators its parameter"
  }
}

# The vendor's page of the API's endpoints (2024-11): rocketmq-vpc.REGION within a VPC. `drain-worker`'s --lag-openapi flags.
run "workers_read_the_lag_with_a_key_of_its_own" {
  variables {
    secrets = merge(var.secrets, { lag_key = "key-of-a-test:secret-of-a-test" })
  }

  assert {
    condition = tomap(nonsensitive({ for name, value in local.worker_environment : name => value if startswith(name, "SPILLWAY_LAG_") })) == tomap({
      SPILLWAY_LAG_SOURCE           = "openapi"
      SPILLWAY_LAG_OPENAPI_URL      = "https://rocketmq-vpc.cn-hangzhou.aliyuncs.com"
      SPILLWAY_LAG_OPENAPI_INSTANCE = "rmq-cn-1"
      SPILLWAY_LAG_OPENAPI_KEY      = "key-of-a-test:secret-of-a-test"
    })
    error_message = "the workers must ask the API of the broker's region about its instance"
  }
}

run "the_runner_is_there_before_the_workers" {
  variables {
    workers = false
    secrets = merge(var.secrets, { runner_github_token = "github-token-of-a-test" })
    runner = {
      github = { repository = "acme/shop" }
      runner = { version = "2.330.0", sha256 = "0000000000000000000000000000000000000000000000000000000000000001" }
      cli    = { version = "3.4.11", sha256 = "0000000000000000000000000000000000000000000000000000000000000002" }
    }
  }

  assert {
    condition     = output.runner != null && strcontains(module.runner[0].cloud_init, "--ram-role-name spillway-test-runner ")
    error_message = "the first apply must make the machine, with the role of the account's root"
  }
  assert {
    condition     = strcontains(base64decode(yamldecode(module.runner[0].cloud_init).write_files[1].content), "TOKEN_PARAMETER=spillway-test-runner-github-token\n") && !strcontains(module.runner[0].cloud_init, "github-token-of-a-test")
    error_message = "the machine must read the token by its name"
  }
}

run "a_runner_needs_a_token" {
  command = plan

  variables {
    runner = {
      github = { repository = "acme/shop" }
      runner = { version = "2.330.0", sha256 = "0000000000000000000000000000000000000000000000000000000000000001" }
      cli    = { version = "3.4.11", sha256 = "0000000000000000000000000000000000000000000000000000000000000002" }
    }
  }

  expect_failures = [var.runner]
}

run "deletion_protection_is_one_setting" {
  assert {
    condition     = output.protected == { addresses = true, database = true, load_balancer = true }
    error_message = "all three resources must be locked: ${jsonencode(output.protected)}"
  }
}

run "without_deletion_protection_nothing_is_locked" {
  variables {
    deletion_protection = false
  }

  assert {
    condition     = !anytrue(values(output.protected))
    error_message = "no resource may be locked, or destroy stops halfway: ${jsonencode(output.protected)}"
  }
}

run "bad_values_are_rejected" {
  command = plan

  variables {
    # an age alarm after half of the retention
    alerts = { oldest_message_h = 40 }
    # reserved by Alibaba Cloud (the API's page of CreateSecretParameter)
    name = "acs-spillway"
    secrets = {
      broker_function   = "nameless-password"
      broker_worker     = "broker-worker-password"
      database_worker   = "Worker-password-1"
      database_migrator = "Migrator-password1"
      database_tune     = "Tune-password-1"
      gateway           = "nameless"
      admin_token       = "short"
      order_id_keys     = "k2026a=not-hex"
    }
  }

  expect_failures = [var.alerts, var.name, var.secrets]
}
