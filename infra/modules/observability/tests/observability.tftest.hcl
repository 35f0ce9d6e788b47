mock_provider "alicloud" {}

variables {
  name                 = "spillway-test"
  region               = "cn-hangzhou"
  account_id           = "1234567890123456"
  contacts             = [{ name = "oncall", email = "oncall@example.com" }]
  function_name        = "spillway-test-ingest"
  nat_gateway_id       = "ngw-1"
  eip_ids              = { "1" = "eip-1", "2" = "eip-2" }
  rocketmq_instance_id = "rmq-cn-1"
  database_cluster_id  = "pc-1"
}

# Fields are in double quotes in the SQL, or before a colon in the search. A quoted text with a space is a value.
run "every_field_that_is_asked_for_is_indexed" {
  assert {
    condition = alltrue(flatten([
      for query in concat(values(local.queries), values(local.alerts)) : [
        for field in concat(
          flatten(regexall("\"([A-Za-z_]+)\"", query.query)),
          flatten(regexall("([A-Za-z_]+): ", split("|", query.query)[0])),
        ) : contains(keys(local.keys[query.store]), field)
      ]
    ]))
    error_message = "a query asks for a field that its logstore does not index"
  }
  assert {
    condition = alltrue([
      for store in ["function", "worker"] : toset([for key in one(alicloud_log_store_index.this[store].field_search).json_keys : key.name if key.doc_value]) == setsubtract(keys(local.keys[store]), ["metrics"])
    ])
    error_message = "what is indexed of a service's line is what is written down"
  }
  assert {
    condition     = toset([for field in alicloud_log_store_index.this["flow"].field_search : field.name if field.enable_analytics]) == toset(keys(local.keys.flow))
    error_message = "what is indexed of a flow is what is written down"
  }
}

# Log Service knows a line's members by the name of the field that the line is in.
run "members_are_asked_for_where_the_line_is" {
  assert {
    condition = alltrue(flatten([
      for what, all in { queries = local.queries, alerts = local.alerts } : [
        for name, query in all : [
          for field in concat(
            flatten(regexall("\"([A-Za-z_.]+)\"", local.asked[what][name])),
            flatten(regexall("([A-Za-z_.]+): ", split("|", local.asked[what][name])[0])),
            ) : field == { function = "message", worker = "content" }[query.store] || anytrue([
              for key in one(alicloud_log_store_index.this[query.store].field_search).json_keys : field == "${one(alicloud_log_store_index.this[query.store].field_search).name}.${key.name}"
          ])
        ] if contains(["function", "worker"], query.store)
      ]
    ]))
    error_message = "a query asks for a member beside the line that holds it"
  }
  assert {
    condition = alltrue([
      for name, alert in alicloud_sls_alert.this : alert.configuration[0].query_list[0].query == local.asked.alerts[name]
      ]) && alltrue([
      for chart in jsondecode(alicloud_log_dashboard.this.char_list) : chart.search.query == local.asked.queries[chart.title]
    ])
    error_message = "what is asked is what knows where the line is"
  }
  assert {
    condition     = strcontains(local.asked.queries.answers, "json_extract(\"message\", '$.metrics.counters')")
    error_message = "metrics are read out of the line"
  }
}

run "a_platform_that_takes_lines_apart_is_asked_for_members" {
  variables {
    line_fields = { function = "", worker = "" }
  }

  assert {
    condition     = local.asked.alerts == { for name, alert in local.alerts : name => alert.query }
    error_message = "queries are asked as they are written"
  }
  assert {
    condition = alltrue([
      for store, keys in local.keys : toset([for field in alicloud_log_store_index.this[store].field_search : field.name if field.enable_analytics]) == toset(keys(keys))
    ])
    error_message = "every member is a field"
  }
}

# The article: errors grouped by requestId and errorMessage, as the log's keys have them.
run "errors_are_found_as_the_article_asks" {
  assert {
    condition = alltrue([
      for key in ["level", "requestId", "errorMessage"] : contains(keys(local.keys.function), key)
    ]) && strcontains(local.queries.errors-grouped.query, "group by \"requestId\", \"errorMessage\"")
    error_message = "errors by request and message"
  }
}

run "nothing_personal_is_indexed" {
  assert {
    condition = alltrue(flatten([
      for store, keys in local.keys : [
        for key in keys(keys) : !can(regex("(?i)(user|buyer|recipient|address|phone|city|email|idempotency|authorization|token|password|secret)", key))
      ]
    ]))
    error_message = "no key that could name a person or a secret"
  }
}

run "logs_are_kept_as_long_as_they_should" {
  variables {
    log_retention_days = 90
  }

  assert {
    condition     = alltrue([for store in alicloud_log_store.this : store.retention_period == 90 && !store.enable_web_tracking && store.auto_split]) && length(alicloud_log_store.this) == 4
    error_message = "four logstores, 90 days, written by nobody from the web"
  }
  assert {
    condition     = output.logstores == { function = "function", worker = "worker", flow = "flow", gateway = "gateway", audit = "actiontrail_spillway-test" }
    error_message = "and the trail's own"
  }
  assert {
    condition     = alltrue([for index in alicloud_log_store_index.this : index.max_text_len == 16384])
    error_message = "a line of metrics is read to its end"
  }
}

run "every_alert_is_told_to_somebody_and_says_what_to_do" {
  assert {
    condition = alltrue([
      for name, alert in alicloud_sls_alert.this : (
        alert.status == "ENABLED" && alert.configuration[0].sink_cms[0].enabled && alert.configuration[0].sink_alerthub[0].enabled &&
        strcontains(join(" ", alert.configuration[0].annotations[*].value), "infra/README.md, \"${name}\"")
      )
    ])
    error_message = "enabled, sent on, and with its place in the runbook"
  }
  assert {
    condition = alltrue([
      for alarm in alicloud_cms_alarm.this : alarm.enabled && alarm.contact_groups == tolist([alicloud_cms_alarm_contact_group.this.alarm_contact_group_name])
    ]) && alicloud_cms_alarm_contact_group.this.contacts == toset(["spillway-test-oncall"])
    error_message = "every alarm has its people"
  }
}

run "what_must_wake_somebody_is_there" {
  assert {
    condition = toset(output.alert_names) == toset([
      "backing-off", "broker-lag", "database-connections", "database-cpu", "database-down", "dead-letters", "drain-paused", "drain-silent", "eip-bandwidth", "front-door", "function-errors",
      "function-not-running", "function-throttled", "leases-lost", "nat-connections", "oldest-message", "orders-fail", "orders-shed",
      "orders-slow", "strangers", "worker-errors",
    ])
    error_message = "an alert came or went; the runbook has an entry for each"
  }
  assert {
    condition = alltrue([
      for name in ["database-down", "dead-letters", "oldest-message", "function-not-running", "worker-errors", "drain-silent"] :
      alicloud_sls_alert.this[name].configuration[0].severity_configurations[0].eval_condition[0].condition == "value > 0"
    ])
    error_message = "one is enough"
  }
  assert {
    condition     = alicloud_cms_alarm.this["nat-connections-nat-sessions"].escalations_warn[0].threshold == "80000" && length(jsondecode(alicloud_cms_alarm.this["eip-bandwidth"].metric_dimensions)) == 2
    error_message = "limits grow with the addresses"
  }
}

# Fifty failures are much of a quiet hour and nothing of a sale.
# Of all alerts this one alone fires because there is nothing.
run "a_drain_that_is_silent_is_noticed" {
  assert {
    condition = (
      strcontains(alicloud_sls_alert.this["drain-silent"].configuration[0].query_list[0].query, "if(count(*) > 0, 0, 1) as value") &&
      strcontains(alicloud_sls_alert.this["drain-silent"].configuration[0].query_list[0].query, "pool status")
    )
    error_message = "no line is 1, any line 0"
  }
}

run "failures_are_a_share_of_what_was_asked" {
  variables {
    thresholds = { failed_percent = 2, failed_requests = 30 }
  }

  assert {
    condition = (
      alicloud_sls_alert.this["orders-fail"].configuration[0].severity_configurations[0].eval_condition[0].condition == "value > 2 && failed > 30" &&
      strcontains(local.alerts.orders-fail.query, "sum(failed) * 100.0 / nullif(greatest(sum(total), sum(failed)), 0)")
    )
    error_message = "percent, and a number below which nobody is woken"
  }
}

# The line is written once, when the database falls: five minutes later it would seem mended.
run "a_database_that_is_down_stays_so_until_it_answers" {
  assert {
    condition = (
      alicloud_sls_alert.this["database-down"].configuration[0].query_list[0].start == "-24h" &&
      strcontains(local.alerts.database-down.query, "event: database_recovered") &&
      strcontains(local.alerts.database-down.query, "coalesce(max(if(fell, at, 0)), 0) > coalesce(max(if(fell, 0, at)), 0)")
    )
    error_message = "down until a later line says otherwise"
  }
}

# An alarm on a name, a statistic or a dimension that the metric does not have never fires.
run "alarms_ask_for_what_the_platform_has" {
  assert {
    condition = { for name, alarm in alicloud_cms_alarm.this : name => "${alarm.project} ${alarm.metric} ${one(concat(alarm.escalations_critical, alarm.escalations_warn)).statistics} > ${one(concat(alarm.escalations_critical, alarm.escalations_warn)).threshold}" } == {
      broker-lag                             = "acs_rocketmq ConsumerLag Sum > 100000"
      oldest-message                         = "acs_rocketmq ConsumerLagLatencyPerGid Maximum > 3600000"
      dead-letters                           = "acs_rocketmq SendDLQMessageCountPerGid Sum > 0"
      nat-connections-nat-sessions           = "acs_nat_gateway SessionActiveConnection Value > 80000"
      nat-connections-nat-ports              = "acs_nat_gateway ErrorPortAllocationCount Value > 0"
      eip-bandwidth                          = "acs_vpc_eip net_out.rate_percentage Average > 80"
      function-throttled-function-reserved   = "acs_fc FunctionConcurrencyThrottles Value > 100"
      function-throttled-function-quota      = "acs_fc FunctionResourceThrottles Value > 100"
      function-errors-function-errors        = "acs_fc FunctionFunctionErrors Value > 100"
      function-errors-function-server-errors = "acs_fc FunctionServerErrors Value > 100"
      database-connections                   = "acs_polardb cluster_connection_utilization Maximum > 80"
      database-cpu                           = "acs_polardb cluster_cpu_utilization Average > 85"
    }
    error_message = "metric, statistic, threshold"
  }
  assert {
    condition = alltrue([
      for name in ["broker-lag", "oldest-message", "dead-letters"] : jsondecode(alicloud_cms_alarm.this[name].metric_dimensions) == [{ instanceId = "rmq-cn-1", groupId = "drain" }]
    ])
    error_message = "lag is a group's"
  }
  assert {
    condition = alltrue([
      for name, alarm in alicloud_cms_alarm.this : jsondecode(alarm.metric_dimensions) == [{ region = "cn-hangzhou", serviceName = "", functionName = "spillway-test-ingest" }] if alarm.project == "acs_fc"
    ])
    error_message = "a function of FC 3.0 has a region and no service"
  }
  assert {
    condition = alltrue([
      for name, alarm in alicloud_cms_alarm.this : one(concat(alarm.escalations_critical, alarm.escalations_warn)).times == (contains(["dead-letters", "nat-connections-nat-ports"], name) ? 1 : 3)
      ]) && alltrue([
      for name in keys(alicloud_cms_alarm.this) : anytrue([for alert in output.alert_names : name == alert || startswith(name, "${alert}-")])
    ])
    error_message = "what must never happen is told at once, and every alarm is one of the runbook's"
  }
}

run "another_engine_has_other_names" {
  variables {
    database_engine = "rds"
  }

  assert {
    condition     = alicloud_cms_alarm.this["database-cpu"].project == "acs_rds_dashboard" && jsondecode(alicloud_cms_alarm.this["database-cpu"].metric_dimensions) == [{ instanceId = "pc-1" }]
    error_message = "RDS has its own"
  }
}

run "who_changed_what_is_recorded" {
  assert {
    condition     = one(alicloud_actiontrail_trail.this).event_rw == "Write" && one(alicloud_actiontrail_trail.this).trail_region == "All"
    error_message = "every call that writes, everywhere"
  }
}

run "the_dashboard_has_every_saved_query" {
  assert {
    condition     = toset(jsondecode(alicloud_log_dashboard.this.char_list)[*].title) == toset(keys(local.queries))
    error_message = "a chart each"
  }
}

run "nobody_to_tell_is_refused" {
  command = plan

  variables {
    contacts = []
  }

  expect_failures = [var.contacts]
}

run "a_threshold_that_always_fires_is_refused" {
  command = plan

  variables {
    thresholds = { shed_requests = 0 }
  }

  expect_failures = [var.thresholds]
}
