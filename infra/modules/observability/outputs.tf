output "project" {
  description = "Log Service project."
  value       = alicloud_log_project.this.project_name
}

output "logstores" {
  description = "Logstores by content: function, worker, flow, gateway."
  value       = { for what, store in alicloud_log_store.this : what => store.logstore_name }
}

output "alert_names" {
  description = "Names of all alerts and alarms, without the prefix. infra/README.md has a runbook row for each."
  value       = sort(distinct(concat(keys(local.alerts), keys(local.alarms))))
}

output "limits" {
  description = "Thresholds of the broker's alarms: waiting messages, and age of the oldest message in ms."
  value = {
    messages      = alicloud_cms_alarm.this["broker-lag"].escalations_critical[0].threshold
    oldest_age_ms = alicloud_cms_alarm.this["oldest-message"].escalations_critical[0].threshold
  }
}
