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
  action_policy_id     = "spillway-test"
}

# A field is in double quotes in the SQL, or before a colon in the search. A quoted text with a space is a value.
run "queries_use_indexed_fields_only" {
  assert {
    condition = alltrue(flatten([
      for query in concat(values(local.queries), values(local.alerts)) : [
        for field in concat(
          flatten(regexall("\"([A-Za-z_]+)\"", query.query)),
          flatten(regexall("([A-Za-z_]+): ", split("|", query.query)[0])),
        ) : contains(keys(local.keys[query.store]), field)
      ]
    ]))
    error_message = "every field of a query must be indexed in its logstore"
  }
  assert {
    condition = alltrue([
      for store in ["function", "worker"] : toset([for key in one(alicloud_log_store_index.this[store].field_search).json_keys : key.name if key.doc_value]) == setsubtract(keys(local.keys[store]), ["metrics"])
    ])
    error_message = "the index of a service must have exactly the keys of local.keys"
  }
  assert {
    condition     = toset([for field in alicloud_log_store_index.this["flow"].field_search : field.name if field.enable_analytics]) == toset(keys(local.keys.flow))
    error_message = "the index of the flow log must have exactly the keys of local.keys"
  }
}

# Log Service addresses a member as FIELD.member, where FIELD holds the line.
run "queries_prefix_members_with_the_line_field" {
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
    error_message = "every member of a query must have its line's field as prefix"
  }
  assert {
    condition = alltrue([
      for name, alert in alicloud_sls_alert.this : alert.configuration[0].query_list[0].query == local.asked.alerts[name]
      ]) && alltrue([
      for chart in jsondecode(alicloud_log_dashboard.this.char_list) : chart.search.query == local.asked.queries[chart.title]
    ])
    error_message = "alerts and charts must use the queries with prefixed members"
  }
  assert {
    condition     = strcontains(local.asked.queries.answers, "json_extract(\"message\", '$.metrics.counters')")
    error_message = "metrics must be extracted from the line's JSON"
  }
}

run "without_a_line_field_queries_use_plain_members" {
  variables {
    line_fields = { function = "", worker = "" }
  }

  assert {
    condition     = local.asked.alerts == { for name, alert in local.alerts : name => alert.query }
    error_message = "queries must stay unchanged"
  }
  assert {
    condition = alltrue([
      for store, keys in local.keys : toset([for field in alicloud_log_store_index.this[store].field_search : field.name if field.enable_analytics]) == toset(keys(keys))
    ])
    error_message = "every member must be indexed as a field"
  }
}

# The article's query: errors grouped by requestId and errorMessage.
run "errors_are_grouped_by_request_and_message" {
  assert {
    condition = alltrue([
      for key in ["level", "requestId", "errorMessage"] : contains(keys(local.keys.function), key)
    ]) && strcontains(local.queries.errors-grouped.query, "group by \"requestId\", \"errorMessage\"")
    error_message = "errors must be grouped by request and message"
  }
}

run "no_personal_data_is_indexed" {
  assert {
    condition = alltrue(flatten([
      for store, keys in local.keys : [
        for key in keys(keys) : !can(regex("(?i)(user|buyer|recipient|address|phone|city|email|idempotency|authorization|token|password|secret)", key))
      ]
    ]))
    error_message = "no indexed key may hold personal data or a secret"
  }
}

run "logs_are_stored_for_the_retention_period" {
  variables {
    log_retention_days = 90
  }

  assert {
    condition     = alltrue([for store in alicloud_log_store.this : store.retention_period == 90 && !store.enable_web_tracking && store.auto_split]) && length(alicloud_log_store.this) == 4
    error_message = "four logstores with a retention of 90 days and web tracking off"
  }
  assert {
    condition     = output.logstores == { function = "function", worker = "worker", flow = "flow", gateway = "gateway", audit = "actiontrail_spillway-test" }
    error_message = "the output must include the logstore of the trail"
  }
  assert {
    condition     = alltrue([for index in alicloud_log_store_index.this : index.max_text_len == 16384])
    error_message = "a line of metrics must be indexed without truncation"
  }
}

run "every_alert_has_recipients_and_a_runbook_link" {
  assert {
    condition = alltrue([
      for name, alert in alicloud_sls_alert.this : (
        alert.status == "ENABLED" && alert.configuration[0].sink_cms[0].enabled && alert.configuration[0].sink_alerthub[0].enabled &&
        strcontains(join(" ", alert.configuration[0].annotations[*].value), "infra/README.md, \"${name}\"")
      )
    ])
    error_message = "every alert must be enabled, be sent to CloudMonitor, and name its runbook row"
  }
  assert {
    condition = alltrue([
      for alarm in alicloud_cms_alarm.this : alarm.enabled && alarm.contact_groups == tolist([alicloud_cms_alarm_contact_group.this.alarm_contact_group_name])
    ]) && alicloud_cms_alarm_contact_group.this.contacts == toset(["spillway-test-oncall"])
    error_message = "every alarm must be sent to the contact group"
  }
}

run "the_list_of_alerts_is_complete" {
  assert {
    condition = toset(output.alert_names) == toset([
      "backing-off", "broker-lag", "catalogue-rejected", "database-connections", "database-cpu", "database-down", "dead-letters", "drain-paused", "drain-silent", "eip-bandwidth", "front-door", "function-errors",
      "function-not-running", "function-throttled", "leases-lost", "nat-connections", "oldest-message", "orders-fail", "orders-shed",
      "orders-slow", "unauthenticated", "worker-errors",
    ])
    error_message = "an alert was added or removed: update this list and the runbook"
  }
  assert {
    condition = alltrue([
      for name in ["database-down", "dead-letters", "oldest-message", "function-not-running", "worker-errors", "drain-silent"] :
      alicloud_sls_alert.this[name].configuration[0].severity_configurations[0].eval_condition[0].condition == "value > 0"
    ])
    error_message = "these alerts must fire at the first occurrence"
  }
  assert {
    condition     = alicloud_cms_alarm.this["nat-connections-nat-sessions"].escalations_warn[0].threshold == "80000" && length(jsondecode(alicloud_cms_alarm.this["eip-bandwidth"].metric_dimensions)) == 2
    error_message = "thresholds must be multiplied by the number of elastic addresses"
  }
}


# The only alert that fires on missing lines.
run "a_silent_drain_fires_an_alert" {
  assert {
    condition = (
      strcontains(alicloud_sls_alert.this["drain-silent"].configuration[0].query_list[0].query, "if(count(*) > 0, 0, 1) as value") &&
      strcontains(alicloud_sls_alert.this["drain-silent"].configuration[0].query_list[0].query, "event: pool_status")
    )
    error_message = "the query must return 1 without lines and 0 with lines"
  }
}

run "failures_are_a_percentage_of_requests" {
  variables {
    thresholds = { failed_percent = 2, failed_requests = 30 }
  }

  assert {
    condition = (
      alicloud_sls_alert.this["orders-fail"].configuration[0].severity_configurations[0].eval_condition[0].condition == "value > 2 && failed > 30" &&
      strcontains(local.alerts.orders-fail.query, "sum(failed) * 100.0 / nullif(greatest(sum(total), sum(failed)), 0)")
    )
    error_message = "the alert must need both a percentage and a minimum count"
  }
}

# The worker logs database_unavailable once. With a window of five minutes the alert would resolve too early.
run "database_down_fires_until_the_database_recovers" {
  assert {
    condition = (
      alicloud_sls_alert.this["database-down"].configuration[0].query_list[0].start == "-24h" &&
      strcontains(local.alerts.database-down.query, "event: database_recovered") &&
      strcontains(local.alerts.database-down.query, "coalesce(max(if(fell, at, 0)), 0) > coalesce(max(if(fell, 0, at)), 0)")
    )
    error_message = "the alert must fire until a later line reports recovery"
  }
}

# An alarm with an unknown metric, statistic or dimension never fires.
run "alarms_use_existing_metrics_and_dimensions" {
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
    error_message = "metrics, statistics and thresholds must be these"
  }
  assert {
    condition = alltrue([
      for name in ["broker-lag", "oldest-message", "dead-letters"] : jsondecode(alicloud_cms_alarm.this[name].metric_dimensions) == [{ instanceId = "rmq-cn-1", groupId = "drain" }]
    ])
    error_message = "lag must be measured by instance and group"
  }
  assert {
    condition = alltrue([
      for name, alarm in alicloud_cms_alarm.this : jsondecode(alarm.metric_dimensions) == [{ region = "cn-hangzhou", serviceName = "", functionName = "spillway-test-ingest" }] if alarm.project == "acs_fc"
    ])
    error_message = "a function of FC 3.0 must have a region and an empty service"
  }
  assert {
    condition = alltrue([
      for name, alarm in alicloud_cms_alarm.this : one(concat(alarm.escalations_critical, alarm.escalations_warn)).times == (contains(["dead-letters", "nat-connections-nat-ports"], name) ? 1 : 3)
      ]) && alltrue([
      for name in keys(alicloud_cms_alarm.this) : anytrue([for alert in output.alert_names : name == alert || startswith(name, "${alert}-")])
    ])
    error_message = "a threshold of 0 must fire at the first value, and every alarm must be in the runbook"
  }
}

# `sls.builtin.dynamic` is an alert policy, not an action policy (the provider's page of sls_alert): it notifies nobody of ours.
run "every_alert_names_the_action_policy" {
  assert {
    condition = toset(flatten([
      for alert in alicloud_sls_alert.this : [for policy in alert.configuration[0].policy_configuration : "${policy.alert_policy_id} ${policy.action_policy_id}"]
    ])) == toset(["sls.builtin.dynamic spillway-test"])
    error_message = "every alert must name the given action policy"
  }
}

run "the_trail_records_every_write_call" {
  assert {
    condition     = one(alicloud_actiontrail_trail.this).event_rw == "Write" && one(alicloud_actiontrail_trail.this).trail_region == "All"
    error_message = "the trail must record write calls of all regions"
  }
}

run "the_dashboard_has_every_saved_query" {
  assert {
    condition     = toset(jsondecode(alicloud_log_dashboard.this.char_list)[*].title) == toset(keys(local.queries))
    error_message = "every query must have a chart"
  }
}

run "an_empty_contact_list_is_rejected" {
  command = plan

  variables {
    contacts = []
  }

  expect_failures = [var.contacts]
}

run "a_threshold_of_zero_is_rejected" {
  command = plan

  variables {
    thresholds = { shed_requests = 0 }
  }

  expect_failures = [var.thresholds]
}
