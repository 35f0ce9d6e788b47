locals {
  function_name = "${var.name}-ingest"
}

resource "alicloud_fcv3_function" "this" {
  function_name = local.function_name
  description   = "takes orders, publishes them, answers 202 once the broker has them"
  runtime       = "custom-container"
  # Required by the API, read by nobody: the container is the handler.
  handler = "index.handler"
  role    = var.role_arn

  cpu                  = var.cpu
  memory_size          = var.memory_mb
  disk_size            = var.disk_mb
  instance_concurrency = var.concurrency
  timeout              = var.timeout_s

  # In the VPC the way out is the NAT gateway's, with its address and its log; the platform's own would go past both.
  internet_access = var.vpc == null

  environment_variables = merge(var.environment, {
    SPILLWAY_INGEST_LISTEN = "0.0.0.0:${var.port}"
  })

  custom_container_config {
    image = var.image
    port  = var.port

    # Whether the process answers, not whether the broker does: a broker that is away would otherwise have every
    # instance killed, one start after the other.
    health_check_config {
      http_get_url          = "/healthz"
      initial_delay_seconds = 0
      period_seconds        = 3
      timeout_seconds       = 1
      failure_threshold     = 3
      success_threshold     = 1
    }
  }

  # The platform calls POST /initialize before the first request and GET /pre-stop before the end.
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

  log_config {
    project  = var.log.project
    logstore = var.log.logstore
    # A line is an entry. The other rule joins lines until one begins as it expects, which JSON never does.
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

# The first version there is, so that the alias has something behind it. Later ones are published by the deployment.
resource "alicloud_fcv3_function_version" "first" {
  function_name = alicloud_fcv3_function.this.function_name
  description   = "first"
}

resource "alicloud_fcv3_alias" "this" {
  function_name = alicloud_fcv3_function.this.function_name
  alias_name    = var.alias_name
  description   = "what the gateway calls"
  version_id    = alicloud_fcv3_function_version.first.version_id

  # The deployment moves it, by a canary weight first, and back if that fails. Here it would be put back to the first
  # version by whoever applies next.
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
