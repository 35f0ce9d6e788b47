# Alerts on the services' log lines. Severity: 10 critical, 8 high, 6 medium. infra/README.md has the action for each
# under its name.

locals {
  # A line of a failed request has no `instance`, so failures form one row, and each instance's requests another.
  failed_by_instance = <<-SQL
    select "${local.f.instance}",
      sum(case when "${local.f.event}" = 'metrics' then 0 else coalesce("${local.f.requests}", 1) end) as failed,
      coalesce(max(cast(json_extract_scalar(${local.metrics}.histograms.ingest_request_duration_seconds.count') as double)) -
        min(cast(json_extract_scalar(${local.metrics}.histograms.ingest_request_duration_seconds.count') as double)), 0) as total
    from log group by "${local.f.instance}"
  SQL

  # A worker logs one line when the database stops taking orders, and one when it takes them again or when the worker
  # starts, which needs the database. So it is down while the last event is database_unavailable; a short outage fires too.
  database_down = <<-SQL
    select count_if(fell and at >= to_unixtime(now()) - 300) +
      if(coalesce(max(if(fell, at, 0)), 0) > coalesce(max(if(fell, 0, at)), 0), 1, 0) as value
    from (select "${local.w.event}" = 'database_unavailable' as fell, __time__ as at from log)
  SQL

  alerts = {
    orders-fail = {
      store = "function", severity = 10, title = "Orders are answered with errors"
      query = "${local.f.event}: request_failed or ${local.f.event}: request_failures_suppressed or ${local.f.event}: metrics | select coalesce(sum(failed), 0) as failed, coalesce(sum(failed) * 100.0 / nullif(greatest(sum(total), sum(failed)), 0), 0) as value from (${local.failed_by_instance})"
      above = 0.1
      also  = "failed > 50"
    }
    # Errors that the function never sees: a missing right, a certificate, a full gateway, a missing trigger.
    front-door = {
      store = "gateway", severity = 10, title = "The gateway answers 500 and above"
      query = "* | select count_if(\"statusCode\" >= 500) as value"
      above = 50
    }
    orders-slow = {
      store = "function", severity = 6, title = "Orders take longer than 250 ms"
      query = "${local.f.event}: metrics | select coalesce(sum(total - quick) * 100.0 / sum(total), 0) as value from (${local.by_instance}) where total > 0"
      above = 1
    }
    orders-shed = {
      store = "function", severity = 6, title = "Instances shed requests at their limit"
      query = "${local.f.event}: requests_shed | select coalesce(sum(\"${local.f.requests}\"), 0) as value"
      above = 1000
    }
    unauthenticated = {
      store = "function", severity = 6, title = "Orders are unsigned or wrongly signed"
      query = "${local.f.event}: requests_unauthenticated | select coalesce(sum(\"${local.f.requests}\"), 0) as value"
      above = 100
    }
    # The function goes on with the previous catalogue. A line a minute while the fault lasts.
    catalogue-rejected = {
      store = "function", severity = 8, title = "A changed catalogue does not count"
      query = "${local.f.event}: catalogue_rejected | select count(*) as value"
      above = 0
    }
    function-not-running = {
      store = "function", severity = 10, title = "Instances of the function do not start"
      query = "${local.f.event}: start_failed or ${local.f.event}: initialize_failed | select count(*) as value"
      above = 0
    }
    database-down = {
      store = "worker", severity = 10, title = "The database is unavailable; the drain waits"
      query = "${local.w.event}: database_unavailable or ${local.w.event}: database_recovered or ${local.w.event}: worker_started | ${local.database_down}"
      above = 0
      start = "-24h"
    }
    dead-letters = {
      store = "worker", severity = 8, title = "Orders became dead letters"
      query = "${local.w.outcome}: dead_lettered or ${local.w.event}: broker_dlq_message_stored | select count(*) as value"
      above = 0
    }
    # Each member of the pool logs a line a minute. No line: no worker is in the pool.
    drain-silent = {
      store = "worker", severity = 10, title = "No worker logs: the drain has stopped"
      query = "${local.w.event}: pool_status | select if(count(*) > 0, 0, 1) as value"
      above = 0
    }
    # An operator paused it; orders wait.
    drain-paused = {
      store = "worker", severity = 6, title = "The drain is paused"
      query = "${local.w.event}: pool_status | select min(if(\"${local.w.cap}\" = 0, 1, 0)) as value"
      above = 0
      start = "-15m"
    }
    # The database is slow, and the workers have reduced their rate for minutes.
    backing-off = {
      store = "worker", severity = 6, title = "The workers limit their rate: the database is slow"
      query = "${local.w.event}: pool_status | select count_if(\"${local.w.adaptive_limit}\" >= 0) as value"
      above = 2
    }
    oldest-message = {
      store = "worker", severity = 8, title = "The oldest message approaches the broker's retention"
      query = "${local.w.event}: retention_near | select count(*) as value"
      above = 0
    }
    leases-lost = {
      store = "worker", severity = 6, title = "Workers lose their leases"
      query = "${local.w.event}: lease_lost or ${local.w.event}: lease_expired | select count(*) as value"
      above = 3
    }
    worker-errors = {
      store = "worker", severity = 6, title = "drain-worker logs errors"
      query = "${local.w.level}: ERROR not ${local.w.event}: database_unavailable | select count(*) as value"
      above = 0
    }
    # Off, until infra/deploy/check-alerts switches it on: it fires at its next look, whatever was logged.
    test = {
      store = "worker", severity = 6, title = "A test of the alerts"
      query = "* | select if(count(*) >= 0, 1, 0) as value"
      above = 0
    }
  }
}

resource "alicloud_sls_alert" "this" {
  for_each = local.alerts

  project_name = alicloud_log_project.this.project_name
  alert_name   = "${var.name}-${each.key}"
  display_name = "${var.name}: ${each.value.title}"
  description  = "See \"${each.key}\" in the runbook"
  status       = each.key == "test" ? "DISABLED" : "ENABLED"

  schedule {
    type     = "FixedRate"
    interval = "1m"
  }

  configuration {
    version       = "2.0"
    type          = "default"
    dashboard     = alicloud_log_dashboard.this.dashboard_name
    threshold     = 1
    no_data_fire  = false
    send_resolved = true

    query_list {
      project        = alicloud_log_project.this.project_name
      region         = var.region
      store          = alicloud_log_store.this[each.value.store].logstore_name
      store_type     = "log"
      query          = each.value.query
      time_span_type = "Relative"
      start          = try(each.value.start, "-5m")
      end            = "now"
    }

    severity_configurations {
      severity = each.value.severity
      eval_condition {
        condition = join(" && ", compact(["value > ${each.value.above}", try(each.value.also, "")]))
      }
    }

    group_configuration {
      type = "no_group"
    }

    annotations {
      key   = "title"
      value = each.value.title
    }
    annotations {
      key   = "desc"
      value = "$${value}, more than ${each.value.above}. Runbook: infra/README.md, \"${each.key}\""
    }

    # To the console's list of alerts, to CloudMonitor, and by the action policy to the contacts. `sls.builtin.dynamic` is an
    # alert policy (certain: the provider's page of sls_alert), which merges what fires together.
    sink_alerthub {
      enabled = true
    }
    sink_cms {
      enabled = true
    }
    policy_configuration {
      alert_policy_id  = "sls.builtin.dynamic"
      action_policy_id = var.action_policy_id
      repeat_interval  = "10m"
    }
  }
}
