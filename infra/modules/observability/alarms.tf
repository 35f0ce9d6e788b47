# Alarms on CloudMonitor's metrics. Names of metrics are in `var.metrics`, because not all are certain.

# A mail counts after its receiver has clicked the link in it. Until then reads return none, and without `ignore_changes`
# every plan would show a difference (certain: the provider's page). `infra/deploy/check-contacts` names who has not clicked.
# An ignored argument is not updated, so the address is in the name: a changed one makes a contact, which the group then names.
resource "alicloud_cms_alarm_contact" "this" {
  for_each = { for contact in var.contacts : contact.name => contact }

  alarm_contact_name = "${var.name}-${each.key}-${substr(sha256(each.value.email), 0, 4)}"
  describe           = "Spillway"
  channels_mail      = each.value.email
  lang               = "en"

  lifecycle {
    ignore_changes        = [channels_mail]
    create_before_destroy = true
  }
}

resource "alicloud_cms_alarm_contact_group" "this" {
  alarm_contact_group_name = var.name
  describe                 = "Spillway"
  contacts                 = values(alicloud_cms_alarm_contact.this)[*].alarm_contact_name
}

locals {
  database_dimensions = [{ clusterId = var.database_cluster_id }]

  broker_dimensions = [{ instanceId = var.rocketmq_instance_id, groupId = var.consumer_group }]
  # A function of FC 3.0 has no service: its name must be empty (certain: vendor documentation of its monitoring data).
  function_dimensions = [{ region = var.region, serviceName = "", functionName = var.function_name }]

  # Keys are names in the runbook. Some are names of alerts too: the alert reads the services' log, the alarm the platform.
  alarms = {
    broker-lag = {
      level      = "critical", above = { "broker-lag" = var.backlog.messages }
      dimensions = local.broker_dimensions
    }
    # drain-worker knows the age of waiting messages only if the broker exposes it; CloudMonitor measures it in any case.
    oldest-message = {
      level      = "critical", above = { "broker-age" = var.backlog.oldest_h * 3600000 }
      dimensions = local.broker_dimensions
    }
    dead-letters = {
      level      = "critical", above = { "broker-dead-letters" = 0 }
      dimensions = local.broker_dimensions
    }
    # A port allocation error is a failed connection, so its threshold is 0.
    nat-connections = {
      level      = "warn", above = { "nat-sessions" = 40000 * length(var.eip_ids), "nat-ports" = 0 }
      dimensions = [{ instanceId = var.nat_gateway_id }]
    }
    eip-bandwidth = {
      level      = "warn", above = { "eip-bandwidth" = 80 }
      dimensions = [for id in values(var.eip_ids) : { instanceId = id }]
    }
    function-throttled = {
      level      = "critical", above = { "function-reserved" = 100, "function-quota" = 100 }
      dimensions = local.function_dimensions
    }
    function-errors = {
      level      = "critical", above = { "function-errors" = 100, "function-server-errors" = 100 }
      dimensions = local.function_dimensions
    }
    database-connections = {
      level      = "critical", above = { "database-connections" = 80 }
      dimensions = local.database_dimensions
    }
    database-cpu = {
      level      = "warn", above = { "database-cpu" = 85 }
      dimensions = local.database_dimensions
    }
  }

  # A rule has one metric. A threshold of 0 fires at the first value above it.
  rules = merge([
    for name, alarm in local.alarms : {
      for metric, above in alarm.above : length(alarm.above) == 1 ? name : "${name}-${metric}" => {
        metric = metric, level = alarm.level, above = above, times = above == 0 ? 1 : 3, dimensions = alarm.dimensions
      }
    }
  ]...)
}

resource "alicloud_cms_alarm" "this" {
  for_each = local.rules

  name              = "${var.name}-${each.key}"
  project           = var.metrics[each.value.metric].namespace
  metric            = var.metrics[each.value.metric].metric
  metric_dimensions = jsonencode(each.value.dimensions)
  period            = var.metrics[each.value.metric].period_s
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
      times               = each.value.times
    }
  }

  dynamic "escalations_warn" {
    for_each = each.value.level == "warn" ? [each.value] : []
    content {
      statistics          = var.metrics[each.value.metric].statistic
      comparison_operator = ">"
      threshold           = tostring(escalations_warn.value.above)
      times               = each.value.times
    }
  }
}
