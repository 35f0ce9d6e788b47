# Fields of the values: aliyun-log-go-sdk, constants and structs of its alert resources.

locals {
  contacts = { for contact in var.contacts : contact.name => contact }
}

resource "alicloud_log_alert_resource" "account" {
  type = "user"
  lang = "en"
}

resource "alicloud_log_resource_record" "user" {
  for_each      = local.contacts
  resource_name = "sls.common.user"
  record_id     = "${var.name}-${each.key}"
  tag           = "${var.name} ${each.key}"
  value = jsonencode({
    user_id       = "${var.name}-${each.key}"
    user_name     = "${var.name} ${each.key}"
    email         = [each.value.email]
    enabled       = true
    sms_enabled   = false
    voice_enabled = false
    country_code  = "86"
    phone         = ""
  })

  depends_on = [alicloud_log_alert_resource.account]
}

resource "alicloud_log_resource_record" "group" {
  resource_name = "sls.common.user_group"
  record_id     = var.name
  tag           = var.name
  value = jsonencode({
    user_group_id   = var.name
    user_group_name = var.name
    enabled         = true
    members         = [for user in alicloud_log_resource_record.user : user.record_id]
  })
}

resource "alicloud_log_resource_record" "action_policy" {
  resource_name = "sls.alert.action_policy"
  record_id     = var.name
  tag           = var.name
  value = jsonencode({
    action_policy_id              = var.name
    action_policy_name            = var.name
    is_default                    = false
    labels                        = {}
    primary_policy_script         = "fire(type=\"email\", users=[], groups=[\"${alicloud_log_resource_record.group.record_id}\"], receiver_type=\"static\", external_url=\"\", external_headers={}, template_id=\"sls.builtin.en\", period=\"any\")"
    secondary_policy_script       = ""
    escalation_start_enabled      = false
    escalation_start_timeout      = "10m"
    escalation_inprogress_enabled = false
    escalation_inprogress_timeout = "30m"
    escalation_enabled            = false
    escalation_timeout            = "4h0m0s"
  })
}
