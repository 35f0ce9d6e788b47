resource "alicloud_ram_role" "this" {
  for_each = local.roles

  role_name                   = "${var.name}-${each.key}"
  description                 = "Spillway: ${each.key}"
  assume_role_policy_document = jsonencode(local.trust[each.key])
  # Seconds; the minimum. A longer release assumes the role again.
  max_session_duration = 3600
  tags                 = var.tags
}

resource "alicloud_ram_policy" "this" {
  for_each = local.documents

  policy_name     = "${var.name}-${each.key}"
  description     = "Spillway: what ${each.key} may do"
  policy_document = jsonencode(each.value)
  rotate_strategy = "DeleteOldestNonDefaultVersionWhenLimitExceeded"
  tags            = var.tags
}

resource "alicloud_ram_policy" "deployer" {
  count = contains(local.roles, "deployer") ? 1 : 0

  policy_name     = "${var.name}-deployer"
  description     = "Spillway: what deployer may do"
  policy_document = jsonencode(local.deployer_document)
  rotate_strategy = "DeleteOldestNonDefaultVersionWhenLimitExceeded"
  tags            = var.tags
}

resource "alicloud_ram_role_policy_attachment" "deployer" {
  count = contains(local.roles, "deployer") ? 1 : 0

  role_name   = alicloud_ram_role.this["deployer"].role_name
  policy_name = alicloud_ram_policy.deployer[0].policy_name
  policy_type = "Custom"
}

resource "alicloud_ram_role_policy_attachment" "this" {
  for_each = local.documents

  role_name   = alicloud_ram_role.this[each.key].role_name
  policy_name = alicloud_ram_policy.this[each.key].policy_name
  policy_type = "Custom"
}
