# Modules in order of dependency. A set of variables has sizes; settings that must be the same in every environment are here.
# The README has a diagram.

# Whom Log Service's alerts notify: records of the account, in a region of their own.
module "alert_recipients" {
  source    = "../modules/alert-recipients"
  providers = { alicloud = alicloud.records }

  name     = var.name
  contacts = var.contacts
}

module "observability" {
  source = "../modules/observability"

  name                 = var.name
  tags                 = var.tags
  resource_group_id    = local.resource_group_id
  region               = var.region
  account_id           = data.alicloud_account.current.id
  action_policy_id     = module.alert_recipients.action_policy_id
  log_retention_days   = var.log_retention_days
  contacts             = var.contacts
  function_name        = module.function.function_name
  nat_gateway_id       = module.nat.nat_gateway_id
  eip_ids              = module.nat.eip_ids
  consumer_group       = module.rocketmq.group_names.drain
  backlog              = { messages = var.alerts.broker_messages, oldest_h = var.alerts.oldest_message_h }
  line_fields          = var.remedies.log_line_fields
  metrics              = var.remedies.cloud_metrics
  rocketmq_instance_id = module.rocketmq.instance_id
  database_cluster_id  = module.database.cluster_id
}

module "network" {
  source = "../modules/network"

  name                = var.name
  tags                = var.tags
  resource_group_id   = local.resource_group_id
  subnets             = var.subnets
  webhook_cidrs       = var.webhook_cidrs
  operator_cidr       = var.operator_cidr
  operator_peer_cidrs = var.operator_peer_cidrs
  flow_log            = { project = module.observability.project, logstore = module.observability.logstores.flow }
}

# Functions, workers and operators share the same public addresses. The data range has and needs no egress.
module "nat" {
  source = "../modules/nat"

  size                = var.nat
  name                = var.name
  tags                = var.tags
  resource_group_id   = local.resource_group_id
  vpc_id              = module.network.vpc_id
  nat_vswitch_id      = module.network.worker_vswitch_ids[var.subnets[0].zone]
  deletion_protection = var.deletion_protection
  snat_vswitches = merge(
    { for subnet in var.subnets : "worker-${subnet.zone}" => module.network.worker_vswitch_ids[subnet.zone] },
    { operator = module.network.operator_vswitch_id },
    { for subnet in var.subnets : "function-${subnet.zone}" => module.network.function_vswitch_ids[subnet.zone] },
  )
}

# The account's registry is reached from this VPC by an endpoint of its own.
resource "alicloud_cr_vpc_endpoint_linked_vpc" "this" {
  instance_id                      = local.registry_instance_id
  vpc_id                           = module.network.vpc_id
  vswitch_id                       = module.network.worker_vswitch_ids[var.subnets[0].zone]
  module_name                      = "Registry"
  enable_create_dns_record_in_pvzt = true
}

module "secrets" {
  source = "../modules/secrets"

  name              = var.name
  tags              = var.tags
  resource_group_id = local.resource_group_id
  secrets = merge(
    { for key, value in var.secrets : replace(key, "_", "-") => value if value != null },
    # For the deployment, which migrates the schema.
    { "migrator-url" = local.migrator_url },
  )
}

module "rocketmq" {
  source = "../modules/rocketmq"

  size              = var.broker
  name              = var.name
  tags              = var.tags
  resource_group_id = local.resource_group_id
  vpc_id            = module.network.vpc_id
  vswitch_ids       = [for subnet in var.subnets : module.network.data_vswitch_ids[subnet.zone]]
  security_group_id = module.network.security_group_ids.data
  # Operators run `init`, which sets the group's offsets, from their own range.
  client_cidrs          = concat(var.subnets[*].function_cidr, var.subnets[*].worker_cidr, [var.operator_cidr])
  acl_types             = var.remedies.acl_types
  drain_cap             = var.worker.initial_rate
  drain_receive_tps_max = coalesce(var.worker.receive_tps_max, 2 * var.worker.initial_rate)
  function_passwords    = local.broker_function
  worker_password       = var.secrets.broker_worker
}

module "database" {
  source = "../modules/database"

  size               = var.database
  name               = var.name
  tags               = var.tags
  resource_group_id  = local.resource_group_id
  vpc_id             = module.network.vpc_id
  zones              = slice(var.subnets[*].zone, 0, 2)
  vswitch_ids        = module.network.data_vswitch_ids
  security_group_ids = [module.network.security_group_ids.worker, module.network.security_group_ids.operator]
  worker_endpoint    = var.remedies.worker_endpoint
  proxy              = var.remedies.proxy
  deletion_lock      = var.deletion_protection
  passwords = {
    worker   = var.secrets.database_worker
    migrator = var.secrets.database_migrator
    tune     = var.secrets.database_tune
  }
}

module "function" {
  source = "../modules/function"

  size              = var.function
  name              = var.name
  tags              = var.tags
  resource_group_id = local.resource_group_id
  image             = var.ingest_image
  sale_windows      = var.sale_windows
  time_zone         = var.time_zone
  role_arn          = local.role_arns.function
  trigger_auth      = var.gateway.backend == "fc" ? "function" : "anonymous"
  environment       = local.function_environment
  catalogue         = var.catalogue
  log               = { project = module.observability.project, logstore = module.observability.logstores.function }
  vpc = {
    vpc_id            = module.network.vpc_id
    vswitch_ids       = [for subnet in var.subnets : module.network.function_vswitch_ids[subnet.zone]]
    security_group_id = module.network.security_group_ids.function
  }
}

# With the first apply: a job on it migrates the schema.
module "runner" {
  source = "../modules/runner"
  count  = var.runner == null ? 0 : 1

  size              = var.runner
  name              = var.name
  tags              = var.tags
  resource_group_id = local.resource_group_id
  region            = var.region
  role_name         = "${var.name}-runner"
  vswitch_id        = module.network.operator_vswitch_id
  ways_out          = module.nat.snat_vswitch_ids
  security_group_id = module.network.security_group_ids.operator
  github_token_name = module.secrets.secret_names["runner-github-token"]
}

# The schema first: without it a worker exits at once, and SAE reports a failed deployment.
module "worker" {
  source = "../modules/worker"
  count  = var.workers ? 1 : 0

  size                     = var.worker
  name                     = var.name
  tags                     = var.tags
  resource_group_id        = local.resource_group_id
  image                    = var.worker_image
  registry_instance_id     = local.registry_instance_id
  vpc_id                   = module.network.vpc_id
  vswitch_ids              = module.network.worker_vswitch_ids
  security_group_id        = module.network.security_group_ids.worker
  database_connections_max = module.database.connections_max
  deletion_protection      = var.deletion_protection
  load_balancer_edition    = var.remedies.load_balancer_edition
  environment              = local.worker_environment
  log                      = { project = module.observability.project, logstore = module.observability.logstores.worker }
}

# No front door without workers behind it, which answer lookups and write what it accepts.
module "gateway" {
  source = "../modules/gateway"
  count  = var.workers ? 1 : 0

  name               = var.name
  tags               = var.tags
  region             = var.region
  instance           = var.gateway.instance
  backend            = var.gateway.backend
  function           = { url = module.function.http_url, role_arn = local.role_arns.gateway }
  worker_query       = module.worker[0].query_backend
  backend_secret     = local.backend_secret
  jwt                = var.jwk == null ? null : { jwk = var.jwk, identity_header = local.identity_header }
  anonymous          = var.gateway.anonymous
  identity_parameter = var.remedies.identity_parameter
  throttle_by_buyer  = var.remedies.throttle_by_buyer
  body_bytes_max     = var.remedies.body_bytes_max
  throttle = {
    orders_per_second  = var.gateway.orders_per_second
    lookups_per_second = var.gateway.lookups_per_second
  }
  domain = var.domain
  log    = var.gateway.log ? { project = module.observability.project, logstore = module.observability.logstores.gateway } : null
}
