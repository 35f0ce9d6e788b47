locals {
  # Seconds: the time-out of the job that assumes the role, because an apply without a session loses its state. At least 3600 (certain:
  # "Set the maximum session duration for a RAM role").
  session_s = { apply = 5400, deploy = 6600 }
}

resource "alicloud_ram_role" "this" {
  for_each = local.trust

  role_name   = "${var.name}-${each.key}"
  description = "Spillway: ${each.key}"
  assume_role_policy_document = jsonencode({
    Version   = "1"
    Statement = [merge({ Effect = "Allow", Action = "sts:AssumeRole" }, each.value)]
  })
  max_session_duration = lookup(local.session_s, each.key, 3600)
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
