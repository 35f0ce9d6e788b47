locals {
  # Policies of the account's root name both.
  function_name = "${var.name}-ingest"
  alias_name    = "live"
  port          = 9000
}

resource "alicloud_fcv3_function" "this" {
  function_name = local.function_name
  description   = "publishes orders and answers 202 after the broker's acknowledgement"
  runtime       = "custom-container"
  # Required by the API and unused: the container is the handler.
  handler = "index.handler"
  role    = var.role_arn

  cpu                  = var.size.cpu
  memory_size          = var.size.memory_mb
  disk_size            = 512
  instance_concurrency = var.size.concurrency
  # ingest-fn's own bounds add up to 8 s: 5 s for the body, 3 s for the broker's acknowledgement. A longer time could wait for a
  # third party, which is billed.
  timeout = 10

  # In the VPC, egress uses the NAT gateway with its addresses and log; the platform's own egress would bypass both.
  internet_access = false

  environment_variables = merge(var.environment, {
    SPILLWAY_INGEST_LISTEN = "0.0.0.0:${local.port}"
    }, var.catalogue == null ? {} : {
    SPILLWAY_CATALOGUE = "/catalogue/sales.toml"
  })

  custom_container_config {
    image = var.image
    port  = local.port

    # Checks the process, not the broker: otherwise a broker outage would make the platform kill every instance
    # repeatedly.
    health_check_config {
      http_get_url          = "/healthz"
      initial_delay_seconds = 0
      period_seconds        = 3
      timeout_seconds       = 1
      failure_threshold     = 3
      success_threshold     = 1
    }
  }

  # The platform calls POST /initialize before the first request and GET /pre-stop before it stops an instance.
  instance_lifecycle_config {
    initializer {
      handler = "initialize"
      # Longer than ingest-fn's own (`--start-timeout-ms`, 20 s).
      timeout = 30
    }
    pre_stop {
      handler = "pre-stop"
      # Longer than ingest-fn's own (`--grace-ms`, 10 s).
      timeout = 15
    }
  }

  vpc_config {
    vpc_id            = var.vpc.vpc_id
    vswitch_ids       = var.vpc.vswitch_ids
    security_group_id = var.vpc.security_group_id
  }

  # ingest-fn looks at the file about once a second, so a changed catalogue needs no new image.
  dynamic "oss_mount_config" {
    for_each = var.catalogue == null ? [] : [var.catalogue]
    content {
      mount_points {
        bucket_name = oss_mount_config.value.bucket
        bucket_path = oss_mount_config.value.folder
        endpoint    = oss_mount_config.value.endpoint
        mount_dir   = "/catalogue"
        read_only   = true
      }
    }
  }

  log_config {
    project  = var.log.project
    logstore = var.log.logstore
    # Each line is an entry. The default rule joins lines until a line has the expected start, which JSON never has.
    log_begin_rule          = "None"
    enable_request_metrics  = true
    enable_instance_metrics = true
  }

  resource_group_id = var.resource_group_id
  tags              = var.tags
}

resource "alicloud_fcv3_concurrency_config" "this" {
  function_name        = alicloud_fcv3_function.this.function_name
  reserved_concurrency = var.size.reserved_concurrency
}

# The first version, required by the alias. The deployment publishes later versions.
resource "alicloud_fcv3_function_version" "first" {
  function_name = alicloud_fcv3_function.this.function_name
  description   = "first"
}

resource "alicloud_fcv3_alias" "this" {
  function_name = alicloud_fcv3_function.this.function_name
  alias_name    = local.alias_name
  description   = "what the gateway calls"
  version_id    = alicloud_fcv3_function_version.first.version_id

  # The deployment moves the alias, first by a canary weight. Without this, an apply would return it to the first
  # version.
  lifecycle {
    ignore_changes = [version_id, additional_version_weight]
  }
}

resource "alicloud_fcv3_trigger" "http" {
  function_name = alicloud_fcv3_function.this.function_name
  qualifier     = alicloud_fcv3_alias.this.alias_name
  trigger_name  = "http"
  trigger_type  = "http"
  trigger_config = jsonencode({
    authType = var.trigger_auth
    methods  = ["POST"]
    # Whether the gateway reaches a function by its internal URL is unknown.
    disableURLInternet = false
  })
}
