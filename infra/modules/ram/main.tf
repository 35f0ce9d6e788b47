resource "alicloud_ram_role" "this" {
  for_each = local.trust

  role_name   = "${var.name}-${each.key}"
  description = "Spillway: ${each.key}"
  assume_role_policy_document = jsonencode({
    Version   = "1"
    Statement = [merge({ Effect = "Allow", Action = "sts:AssumeRole" }, each.value)]
  })
  # Seconds; the minimum. A longer release assumes the role again.
  max_session_duration = 3600
  tags                 = var.tags
}

resource "alicloud_ram_policy" "this" {
  for_each = local.trust

  policy_name = "${var.name}-${each.key}"
  description = "Spillway: what ${each.key} may do"
  policy_document = jsonencode({
    Version = "1"
    Statement = [
      for statement in local.statements[each.key] : merge(
        { Effect = "Allow", Action = statement.actions, Resource = statement.resources },
        try({ Condition = { StringEquals = { "acs:Service" = [statement.service] } } }, {}),
      )
    ]
  })
  rotate_strategy = "DeleteOldestNonDefaultVersionWhenLimitExceeded"
  tags            = var.tags
}

resource "alicloud_ram_role_policy_attachment" "this" {
  for_each = local.trust

  role_name   = alicloud_ram_role.this[each.key].role_name
  policy_name = alicloud_ram_policy.this[each.key].policy_name
  policy_type = "Custom"
}
