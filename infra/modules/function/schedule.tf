# Provisioned instances: started before a sale, stopped after it.
#
# An action has a six-field cron expression (second, minute, hour, day, month, weekday; certain) that fires every year,
# and start and end times that limit it to one occurrence. With a time zone the times have no Z (certain).
locals {
  utc = var.time_zone == "UTC"

  # Minutes after a sale at which its instances stop: late retries reach a warm instance.
  cool_delay_min = 5

  # Local times, computed as if they were UTC: the platform applies the zone.
  windows = [
    for window in var.sale_windows : {
      name      = window.name
      instances = window.instances
      warm      = timeadd("${window.opens_at}Z", "-${var.size.warm_lead_min}m")
      cool      = timeadd("${window.closes_at}Z", "${local.cool_delay_min}m")
    }
  ]

  actions = flatten([
    for window in local.windows : [
      {
        name   = "${window.name}-warm"
        target = window.instances
        at     = window.warm
        from   = timeadd(window.warm, "-1m")
        # Ends when the sale cools, in case the platform holds an action's target until its end time.
        until = window.cool
      },
      {
        name   = "${window.name}-cool"
        target = 0
        at     = window.cool
        from   = timeadd(window.cool, "-1m")
        until  = timeadd(window.cool, "1h")
      },
    ]
  ])

  provision_actions = [
    for action in local.actions : {
      name                = action.name
      target              = action.target
      schedule_expression = "cron(${formatdate("s m h D M", action.at)} *)"
      start_time          = local.utc ? action.from : trimsuffix(action.from, "Z")
      end_time            = local.utc ? action.until : trimsuffix(action.until, "Z")
      time_zone           = local.utc ? null : var.time_zone
    }
  ]
}

# The provider sends only changed fields, and the platform treats them as the whole (likely): a changed schedule would
# bill idle CPU, whose default is on, and a changed target would lose the schedule. So a change replaces the resource.
resource "terraform_data" "schedule" {
  count = length(var.sale_windows) > 0 ? 1 : 0

  input = { actions = local.provision_actions, always_allocate_cpu = var.size.always_allocate_cpu }
}

resource "alicloud_fcv3_provision_config" "this" {
  count = length(var.sale_windows) > 0 ? 1 : 0

  function_name       = alicloud_fcv3_function.this.function_name
  qualifier           = alicloud_fcv3_alias.this.alias_name
  target              = 0
  always_allocate_cpu = var.size.always_allocate_cpu

  dynamic "scheduled_actions" {
    for_each = local.provision_actions
    content {
      name                = scheduled_actions.value.name
      target              = scheduled_actions.value.target
      schedule_expression = scheduled_actions.value.schedule_expression
      start_time          = scheduled_actions.value.start_time
      end_time            = scheduled_actions.value.end_time
      time_zone           = scheduled_actions.value.time_zone
    }
  }

  # reserved_concurrency must limit instances before any is provisioned.
  depends_on = [alicloud_fcv3_concurrency_config.this]

  lifecycle {
    # The provider reads the configuration of LATEST, not the alias's (certain: its source, which reads without the qualifier),
    # so what it reads says nothing, and changes come by the trigger. The schedule or `infra/deploy/warm` sets the target.
    ignore_changes       = [target, scheduled_actions, always_allocate_cpu, qualifier]
    replace_triggered_by = [terraform_data.schedule]
  }
}
