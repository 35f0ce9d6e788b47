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
  resource_group_id    = "rg-1"
  log_retention_days   = 90
  consumer_group       = "drain"
  backlog              = { messages = 100000, oldest_h = 1 }
}

# Log Service addresses a member of a JSON field as FIELD.member, and only what is indexed. A field is in double quotes in the SQL, or
# before a colon in the search; a quoted text with a space is a value.
run "queries_use_indexed_fields_only" {
  assert {
    condition = alltrue(flatten([
      for query in concat(values(local.queries), values(local.alerts)) : [
        for field in concat(
          flatten(regexall("\"([A-Za-z_.]+)\"", query.query)),
          flatten(regexall("([A-Za-z_.]+): ", split("|", query.query)[0])),
          ) : contains(flatten([
            for indexed in alicloud_log_store_index.this[query.store].field_search : concat([indexed.name], [for key in indexed.json_keys : "${indexed.name}.${key.name}"])
        ]), field)
      ]
    ]))
    error_message = "every field of a query must be indexed in its logstore"
  }
  assert {
    condition = toset(concat(
      [for alert in alicloud_sls_alert.this : alert.configuration[0].query_list[0].query], jsondecode(alicloud_log_dashboard.this.char_list)[*].search.query,
    )) == toset([for query in concat(values(local.alerts), values(local.queries)) : query.query])
    error_message = "every query must be asked, by an alert or a chart"
  }
  assert {
    condition     = strcontains(local.queries.answers.query, "json_extract(\"message\", '$.metrics.counters')")
    error_message = "metrics, an object that no index has, must be extracted from the line"
  }
}

run "without_a_line_field_members_are_fields" {
  variables {
    line_fields = { function = "", worker = "" }
  }

  assert {
    condition = (
      strcontains(local.queries.answers.query, "event: metrics | ") && strcontains(local.queries.answers.query, "json_extract(\"metrics\", '$.counters')") &&
      contains([for field in alicloud_log_store_index.this["function"].field_search : field.name], "metrics")
    )
    error_message = "queries and indexes must have plain fields: ${local.queries.answers.query}"
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
  assert {
    condition     = alltrue([for store in alicloud_log_store.this : store.retention_period == 90 && !store.enable_web_tracking && store.auto_split]) && length(alicloud_log_store.this) == 4
    error_message = "four logstores with a retention of 90 days and web tracking off"
  }
  assert {
    condition     = alltrue([for index in alicloud_log_store_index.this : index.max_text_len == 16384])
    error_message = "a line of metrics must be indexed without truncation"
  }
}

# `sls.builtin.dynamic` is an alert policy, not an action policy (the provider's page of sls_alert): it notifies nobody of ours.
run "every_alert_has_recipients_and_a_runbook_link" {
  assert {
    condition = alltrue([
      for name, alert in alicloud_sls_alert.this : (
        alert.status == (name == "test" ? "DISABLED" : "ENABLED") && alert.configuration[0].policy_configuration[0].action_policy_id == "spillway-test" && alert.configuration[0].sink_cms[0].enabled && alert.configuration[0].sink_alerthub[0].enabled &&
        strcontains(join(" ", alert.configuration[0].annotations[*].value), "infra/README.md, \"${name}\"")
      )
    ])
    error_message = "every alert but the test must be enabled, and every one be sent to CloudMonitor, and name its runbook row"
  }
  assert {
    condition = alltrue([
      for alarm in alicloud_cms_alarm.this : alarm.enabled && alarm.contact_groups == tolist([alicloud_cms_alarm_contact_group.this.alarm_contact_group_name])
    ]) && alicloud_cms_alarm_contact_group.this.contacts == toset(["spillway-test-oncall-d876"])
    error_message = "every alarm must be sent to the contact group"
  }
}

run "the_list_of_alerts_is_complete" {
  assert {
    condition = toset(output.alert_names) == toset([
      "backing-off", "broker-lag", "catalogue-rejected", "database-connections", "database-cpu", "database-down", "dead-letters", "drain-paused", "drain-silent", "eip-bandwidth", "front-door", "function-errors",
      "function-not-running", "function-throttled", "leases-lost", "nat-connections", "oldest-message", "orders-fail", "orders-shed",
      "orders-slow", "test", "unauthenticated", "worker-errors",
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


# The worker logs database_unavailable once. With a window of five minutes the alert would resolve too early.
run "database_down_fires_until_the_database_recovers" {
  assert {
    condition = (
      alicloud_sls_alert.this["database-down"].configuration[0].query_list[0].start == "-24h" &&
      strcontains(local.alerts.database-down.query, "event: database_recovered or") &&
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

# The provider ignores a changed address of an existing contact. The digits: `printf new@example.com | sha256sum`.
run "a_changed_address_makes_a_contact" {
  variables {
    contacts = [{ name = "oncall", email = "new@example.com" }]
  }

  assert {
    condition = (
      alicloud_cms_alarm_contact.this["oncall"].alarm_contact_name == "spillway-test-oncall-f003" &&
      alicloud_cms_alarm_contact_group.this.contacts == toset(["spillway-test-oncall-f003"])
    )
    error_message = "a changed address must be another contact, and in the group"
  }
}

# The provider's page of alicloud_cms_alarm_contact: a name has 2 to 40 characters.
run "a_name_that_cloudmonitor_refuses_is_rejected" {
  command = plan

  variables {
    contacts = [{ name = "the-team-that-is-on-call", email = "oncall@example.com" }]
  }

  expect_failures = [var.contacts]
}
