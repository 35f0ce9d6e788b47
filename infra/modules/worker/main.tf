locals {
  zones = sort(keys(var.vswitch_ids))

  # Buyers reach the first, the platform's probes and operators the second.
  query_port = 9100
  admin_port = 9101
  # Connections of a worker: for writes, of which more are not faster, and for lookups.
  writers_max = 4
  readers_max = 2

  # Environment of every worker. The pool's cap is in the database: nothing here
  # depends on the number of replicas.
  settings = {
    SPILLWAY_INITIAL_RATE         = tostring(var.size.initial_rate)
    SPILLWAY_QUERY_LISTEN         = "0.0.0.0:${local.query_port}"
    SPILLWAY_ADMIN_LISTEN         = "0.0.0.0:${local.admin_port}"
    SPILLWAY_DRAIN_GRACE_MS       = "20000"
    SPILLWAY_DATABASE_WRITERS_MAX = tostring(local.writers_max)
    SPILLWAY_DATABASE_READERS_MAX = tostring(local.readers_max)
  }

  environment = merge(var.environment, local.settings)

  # Writers, readers, one for the pool's coordination, one for an operator's command.
  connections_per_worker = local.writers_max + local.readers_max + 2
}

# A namespace isolates its applications: they share one VPC, secrets and the load balancer's rules.
resource "alicloud_sae_namespace" "this" {
  namespace_name = var.name
  # At most 20 lower-case letters and digits (certain: the API's page of CreateNamespace, 2026-01).
  namespace_short_id        = substr(replace(var.name, "-", ""), 0, 20)
  namespace_description     = "Spillway's workers"
  enable_micro_registration = false
}

resource "alicloud_sae_application" "this" {
  app_name        = "${var.name}-worker"
  app_description = "consumes orders and commits each exactly once"
  namespace_id    = alicloud_sae_namespace.this.id
  package_type    = "Image"
  image_url       = var.image
  command_args_v2 = ["run"]

  acr_instance_id = var.registry_instance_id

  vpc_id            = var.vpc_id
  vswitch_id        = join(",", [for zone in local.zones : var.vswitch_ids[zone]])
  security_group_id = var.security_group_id

  replicas = var.size.replicas
  cpu      = var.size.cpu_millicores
  memory   = var.size.memory_mb
  timezone = "UTC"

  envs = jsonencode([for name in sort(nonsensitive(keys(local.environment))) : { name = name, value = local.environment[name] }])

  # A worker is ready for lookups while it reaches the database. Otherwise the load balancer sends it none.
  # The provider sends 0 for every number of a probe that is not set (certain: its source).
  readiness_v2 {
    initial_delay_seconds = 5
    period_seconds        = 5
    timeout_seconds       = 2
    success_threshold     = 1
    failure_threshold     = 3

    http_get {
      path   = "/readyz/lookups"
      port   = local.admin_port
      scheme = "HTTP"
    }
  }

  # A worker is alive while it answers: a database outage must not restart it.
  liveness_v2 {
    initial_delay_seconds = 10
    period_seconds        = 10
    timeout_seconds       = 3
    failure_threshold     = 3

    http_get {
      path   = "/healthz"
      port   = local.admin_port
      scheme = "HTTP"
    }
  }

  # SIGTERM, time for the worker to stop (SPILLWAY_DRAIN_GRACE_MS and a margin), then SIGKILL. The share of a killed worker is idle
  # until its lease expires. No pre-stop command: the image contains only the worker.
  termination_grace_period_seconds = 40

  # Batch by batch, so that at least one worker drains at any time.
  min_ready_instances      = 1
  min_ready_instance_ratio = -1
  update_strategy_v2 {
    type = "BatchUpdate"
    batch_update {
      batch = 2
      # Minutes (certain: the vendor's SDK; the provider passes the number on and calls it seconds).
      batch_wait_time = 1
      release_type    = "auto"
    }
  }

  sls_configs = jsonencode([{
    projectName  = var.log.project
    logstoreName = var.log.logstore
    logType      = "stdout"
    logDir       = ""
    logtailName  = ""
  }])

  tags = var.tags

  # The deployment owns the image: an apply would roll workers before the schema is migrated.
  lifecycle {
    ignore_changes = [image_url]
  }
}
