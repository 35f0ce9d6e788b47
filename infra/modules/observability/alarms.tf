# What only the platform knows, from CloudMonitor. Names of metrics are in `metrics`, since not all are certain.

resource "alicloud_cms_alarm_contact" "this" {
  for_each = { for contact in var.contacts : contact.name => contact }

  alarm_contact_name = "${var.name}-${each.key}"
  describe           = "Spillway"
  channels_mail      = each.value.email
  lang               = "en"
}

resource "alicloud_cms_alarm_contact_group" "this" {
  alarm_contact_group_name = var.name
  describe                 = "Spillway"
  contacts                 = values(alicloud_cms_alarm_contact.this)[*].alarm_contact_name
}

locals {
  database            = var.database_engine == "polardb" ? "polardb" : "rds"
  database_dimensions = var.database_engine == "polardb" ? [{ clusterId = var.database_cluster_id }] : [{ instanceId = var.database_cluster_id }]

  alarms = {
    broker-lag = {
      metric     = "broker-lag", level = "critical", above = var.thresholds.broker_messages
      dimensions = [{ instanceId = var.rocketmq_instance_id }]
    }
    nat-connections = {
      metric     = "nat-connections", level = "warn", above = var.thresholds.nat_connections * length(var.eip_ids)
      dimensions = [{ instanceId = var.nat_gateway_id }]
    }
    eip-bandwidth = {
      metric     = "eip-bandwidth", level = "warn", above = var.thresholds.eip_mbps * 1000000
      dimensions = [for id in values(var.eip_ids) : { instanceId = id }]
    }
    function-throttled = {
      metric     = "function-throttled", level = "critical", above = var.thresholds.throttled_calls
      dimensions = [{ functionName = var.function_name }]
    }
    function-errors = {
      metric     = "function-errors", level = "critical", above = var.thresholds.throttled_calls
      dimensions = [{ functionName = var.function_name }]
    }
    database-connections = {
      metric     = "${local.database}-connections", level = "critical", above = var.thresholds.database_connection_percent
      dimensions = local.database_dimensions
    }
    database-cpu = {
      metric     = "${local.database}-cpu", level = "warn", above = var.thresholds.database_cpu_percent
      dimensions = local.database_dimensions
    }
  }
}

resource "alicloud_cms_alarm" "this" {
  for_each = local.alarms

  name              = "${var.name}-${each.key}"
  project           = var.metrics[each.value.metric].namespace
  metric            = var.metrics[each.value.metric].metric
  metric_dimensions = jsonencode(each.value.dimensions)
  period            = 60
  contact_groups    = [alicloud_cms_alarm_contact_group.this.alarm_contact_group_name]
  silence_time      = 600
  enabled           = true
  tags              = var.tags

  dynamic "escalations_critical" {
    for_each = each.value.level == "critical" ? [each.value] : []
    content {
      statistics          = var.metrics[each.value.metric].statistic
      comparison_operator = ">"
      threshold           = tostring(escalations_critical.value.above)
      times               = 3
    }
  }

  dynamic "escalations_warn" {
    for_each = each.value.level == "warn" ? [each.value] : []
    content {
      statistics          = var.metrics[each.value.metric].statistic
      comparison_operator = ">"
      threshold           = tostring(escalations_warn.value.above)
      times               = 3
    }
  }
}
