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
          flatten(regexall("\"([A-Za-z_]+)\"", replace(query.query, "/json_extract_scalar\\(\"metrics\", '[^']*'\\)/", "\"metrics\""))),
          flatten(regexall("([A-Za-z_]+): ", split("|", query.query)[0])),
        ) : contains(keys(local.keys[query.store]), field)
      ]
    ]))
    error_message = "a query asks for a field that its logstore does not index"
  }
  assert {
    condition = alltrue([
      for store, keys in local.keys : toset([for field in alicloud_log_store_index.this[store].field_search : field.name if field.enable_analytics]) == toset(keys(keys))
    ])
    error_message = "what is indexed is what is written down"
  }
}

# The article: errors grouped by requestId and errorMessage, as the log's keys have them.
run "errors_are_found_as_the_article_asks" {
  assert {
    condition = alltrue([
      for key in ["level", "requestId", "errorMessage"] : contains(keys(local.keys.function), key)
    ]) && strcontains(output.queries["errors-grouped"].query, "group by \"requestId\", \"errorMessage\"")
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
      "broker-lag", "database-connections", "database-cpu", "database-down", "dead-letters", "eip-bandwidth", "function-errors",
      "function-not-running", "function-throttled", "leases-lost", "nat-connections", "oldest-message", "orders-fail", "orders-shed",
      "orders-slow", "strangers", "worker-errors",
    ])
    error_message = "an alert came or went; the runbook has an entry for each"
  }
  assert {
    condition = alltrue([
      for name in ["database-down", "dead-letters", "oldest-message", "function-not-running", "worker-errors"] :
      alicloud_sls_alert.this[name].configuration[0].severity_configurations[0].eval_condition[0].condition == "value > 0"
    ])
    error_message = "one is enough"
  }
  assert {
    condition     = alicloud_cms_alarm.this["nat-connections"].escalations_warn[0].threshold == "80000" && length(jsondecode(alicloud_cms_alarm.this["eip-bandwidth"].metric_dimensions)) == 2
    error_message = "limits grow with the addresses"
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
