locals {
  # All rights. An account without an entry has none.
  permissions = merge(local.function_permissions, {
    "worker takes orders"       = { user = "worker", type = "Topic", name = local.topics.orders, actions = ["Sub"] }
    "worker moves dead letters" = { user = "worker", type = "Topic", name = local.topics.dead_letters, actions = ["Pub", "Sub"] }

    "worker in the group of orders"       = { user = "worker", type = "Group", name = local.groups.drain, actions = ["Sub"] }
    "worker in the group of dead letters" = { user = "worker", type = "Group", name = local.groups.dead_letters, actions = ["Sub"] }
  })

  function_permissions = merge([
    for account in local.function_accounts : {
      "function ${account} publishes orders" = { user = "function-${account}", type = "Topic", name = local.topics.orders, actions = ["Pub"] }
    }
  ]...)

  # Names are not sensitive.
  function_accounts = nonsensitive(toset(keys(var.function_passwords)))

  accounts = merge(
    { worker = alicloud_rocketmq_account.worker.username },
    { for account in local.function_accounts : "function-${account}" => alicloud_rocketmq_account.function[account].username },
  )
}

# A version of the function uses the account that it was published with. With two accounts the next version uses the
# new password while the live version uses the old one.
resource "alicloud_rocketmq_account" "function" {
  for_each = local.function_accounts

  instance_id    = alicloud_rocketmq_instance.this.id
  username       = "${var.name}-function-${each.key}"
  password       = var.function_passwords[each.key]
  account_status = "ENABLE"
}

resource "alicloud_rocketmq_account" "worker" {
  instance_id    = alicloud_rocketmq_instance.this.id
  username       = "${var.name}-worker"
  password       = var.worker_password
  account_status = "ENABLE"
}

resource "alicloud_rocketmq_acl" "this" {
  for_each = local.permissions

  instance_id   = alicloud_rocketmq_instance.this.id
  username      = local.accounts[each.value.user]
  resource_type = each.value.type
  resource_name = each.value.name
  actions       = each.value.actions
  decision      = "Allow"

  # The API rejects a right on a topic or group that does not exist yet.
  depends_on = [
    alicloud_rocketmq_topic.this,
    alicloud_rocketmq_consumer_group.drain,
    alicloud_rocketmq_consumer_group.dead_letters,
  ]
}
