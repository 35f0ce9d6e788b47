locals {
  # Indexed fields by logstore: ingest-fn/README.md "Logs", drain-worker/README.md "Watch". A query can use these fields
  # only; a test compares. None is personal data: no line has a buyer, an address or an idempotency key.
  common = {
    level    = "text", target = "text", event = "text", message = "text", requestId = "text", errorMessage = "text", errorCode = "text",
    order_id = "text", traceparent = "text", fault = "text", requests = "long",
  }
  keys = {
    function = merge(local.common, {
      instance = "text", metrics = "text", messages = "long", connections = "long", times = "long", settled = "text",
    })
    worker = merge(local.common, {
      outcome              = "text", reason = "text", orders = "long", worker = "text", lease = "text", failures = "long", failed = "long",
      oldest_age_s         = "double", retention_s = "double", cap = "long", workers = "long", share = "long", adaptive_limit = "long",
      committed_per_second = "double", arriving_per_second = "double", messages_waiting = "long", limited_by = "text",
    })
    # The vendor's own fields (likely).
    flow = { action = "text", srcaddr = "text", dstaddr = "text", dstport = "text", protocol = "text", bytes = "long", packets = "long" }
    # The vendor's own fields (certain: "Fields of API Gateway access logs"). The log also has the client's
    # address, which is personal data and has the same retention.
    gateway = { statusCode = "long", errorMessage = "text", path = "text", httpMethod = "text", serviceLatency = "long" }
  }

  token = ", '\";=()[]{}?@&<>/:\n\t\r"

  # The field that holds a service's whole line: its members are addressed as `FIELD.member`. Empty: no such field.
  line_fields = { for store, keys in local.keys : store => try(var.line_fields[store], "") }
  fields = {
    for store, keys in local.keys : store =>
    { for key in keys(keys) : key => local.line_fields[store] == "" ? key : "${local.line_fields[store]}.${key}" }
  }
  # Short, for queries: names of the fields of the function's and of the workers' lines, and the start of a path in `metrics`, an
  # object, which cannot be indexed.
  f       = local.fields.function
  w       = local.fields.worker
  metrics = local.line_fields.function == "" ? "\"metrics\", '$" : "\"${local.line_fields.function}\", '$.metrics"
}

# Unique in all of the cloud (certain: the provider's page), so the account's id is in it.
resource "alicloud_log_project" "this" {
  project_name      = "${var.name}-${var.account_id}"
  description       = "Spillway: logs, alerts, dashboard"
  resource_group_id = var.resource_group_id
  tags              = var.tags
}

resource "alicloud_log_store" "this" {
  for_each = local.keys

  project_name     = alicloud_log_project.this.project_name
  logstore_name    = each.key
  retention_period = var.log_retention_days
  shard_count      = 2
  # Logstores split their shards during a sale.
  auto_split            = true
  max_split_shard_count = 64
  append_meta           = true
  enable_web_tracking   = false
}

resource "alicloud_log_store_index" "this" {
  for_each = local.keys

  project  = alicloud_log_project.this.project_name
  logstore = alicloud_log_store.this[each.key].logstore_name
  # A line of metrics has some kilobytes. A longer text can be searched but not used in SQL.
  max_text_len = 16384

  full_text {
    case_sensitive = false
    token          = local.token
  }

  dynamic "field_search" {
    for_each = local.line_fields[each.key] == "" ? {} : { (local.line_fields[each.key]) = each.value }
    content {
      name             = field_search.key
      type             = "json"
      enable_analytics = true
      token            = local.token

      # Only leaves can be indexed. `metrics` is an object: queries extract it from the line.
      dynamic "json_keys" {
        for_each = { for key, type in field_search.value : key => type if key != "metrics" }
        content {
          name      = json_keys.key
          type      = json_keys.value
          doc_value = true
        }
      }
    }
  }

  dynamic "field_search" {
    for_each = local.line_fields[each.key] == "" ? each.value : {}
    content {
      name             = field_search.key
      type             = field_search.value
      enable_analytics = true
      token            = field_search.value == "text" ? local.token : null
    }
  }
}
