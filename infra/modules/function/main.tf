locals {
  function_name = "${var.name}-ingest"
}

resource "alicloud_fcv3_function" "this" {
  function_name = local.function_name
  description   = "publishes orders and answers 202 after the broker's acknowledgement"
  runtime       = "custom-container"
  # Required by the API and unused: the container is the handler.
  handler = "index.handler"
  role    = var.role_arn

  cpu                  = var.cpu
  memory_size          = var.memory_mb
  disk_size            = var.disk_mb
  instance_concurrency = var.concurrency
  timeout              = var.timeout_s

  # In the VPC, egress uses the NAT gateway with its addresses and log; the platform's own egress would bypass both.
  internet_access = var.vpc == null

  environment_variables = merge(var.environment, {
    SPILLWAY_INGEST_LISTEN = "0.0.0.0:${var.port}"
    }, var.catalogue == null ? {} : {
    SPILLWAY_CATALOGUE = "/catalogue/sales.toml"
  })

  custom_container_config {
    image = var.image
    port  = var.port

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
      timeout = var.initialize_timeout_s
    }
    pre_stop {
      handler = "pre-stop"
      timeout = var.pre_stop_timeout_s
    }
  }

  dynamic "vpc_config" {
    for_each = var.vpc == null ? [] : [var.vpc]
    content {
      vpc_id            = vpc_config.value.vpc_id
      vswitch_ids       = vpc_config.value.vswitch_ids
      security_group_id = vpc_config.value.security_group_id
    }
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

  tags = var.tags
}

resource "alicloud_fcv3_concurrency_config" "this" {
  function_name        = alicloud_fcv3_function.this.function_name
  reserved_concurrency = var.reserved_concurrency
}

# The first version, required by the alias. The deployment publishes later versions.
resource "alicloud_fcv3_function_version" "first" {
  function_name = alicloud_fcv3_function.this.function_name
  description   = "first"
}

resource "alicloud_fcv3_alias" "this" {
  function_name = alicloud_fcv3_function.this.function_name
  alias_name    = var.alias_name
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
    authType           = var.trigger_auth
    methods            = ["POST"]
    disableURLInternet = !var.public_url
  })
}
