mock_provider "alicloud" {}

variables {
  name               = "spillway-test"
  vpc_id             = "vpc-1"
  vswitch_ids        = ["vsw-a", "vsw-b"]
  security_group_id  = "sg-data"
  spec               = "rmq.s2.2xlarge"
  function_passwords = { a = "function-password" }
  worker_password    = "worker-password"
}

run "function_publishes_orders_and_nothing_else" {
  command = plan

  assert {
    condition = toset([
      for acl in alicloud_rocketmq_acl.this : "${join("+", acl.actions)} ${acl.resource_type} ${acl.resource_name}"
      if acl.username == "spillway-test-function-a"
    ]) == toset(["Pub Topic orders"])
    error_message = "the function must have the right to publish orders, and no other"
  }
}

# For rotation without downtime: the live version uses one account, the next version the other.
run "two_accounts_of_the_function_have_the_same_rights" {
  command = plan

  variables {
    function_passwords = { a = "function-password", b = "another-password" }
  }

  assert {
    condition = alltrue([
      for account in ["spillway-test-function-a", "spillway-test-function-b"] : toset([
        for acl in alicloud_rocketmq_acl.this : "${join("+", acl.actions)} ${acl.resource_type} ${acl.resource_name}" if acl.username == account
      ]) == toset(["Pub Topic orders"])
    ])
    error_message = "each account must have exactly the rights to publish"
  }
  assert {
    condition     = nonsensitive(alicloud_rocketmq_account.function["a"].password == "function-password" && alicloud_rocketmq_account.function["b"].password == "another-password")
    error_message = "each account must have its own password"
  }
}

run "three_accounts_of_the_function_are_rejected" {
  command = plan

  variables {
    function_passwords = { a = "function-password", b = "another-password", c = "forgotten-password" }
  }

  expect_failures = [var.function_passwords]
}

run "worker_consumes_its_groups_and_publishes_dead_letters" {
  command = plan

  assert {
    condition = toset([
      for acl in alicloud_rocketmq_acl.this : acl.resource_name
      if acl.username == "spillway-test-worker" && acl.resource_type == "Topic" && contains(acl.actions, "Pub")
    ]) == toset(["drain-dead-letters"])
    error_message = "the worker must publish dead letters only, never orders"
  }
  assert {
    condition = toset([
      for acl in alicloud_rocketmq_acl.this : acl.resource_name
      if acl.username == "spillway-test-worker" && acl.resource_type == "Group"
    ]) == toset(["drain", "drain-dead-letters"])
    error_message = "the worker must consume in its own groups"
  }
  assert {
    condition = toset([
      for acl in alicloud_rocketmq_acl.this : acl.resource_name
      if acl.username == "spillway-test-worker" && acl.resource_type == "Topic" && contains(acl.actions, "Sub")
    ]) == toset(["orders", "drain-dead-letters"])
    error_message = "the worker must consume the topics of its groups only"
  }
}

run "every_right_names_one_topic_or_group" {
  command = plan

  assert {
    condition = alltrue([
      for acl in alicloud_rocketmq_acl.this : acl.decision == "Allow" && can(regex("^[A-Za-z0-9_-]+$", acl.resource_name))
    ])
    error_message = "a right must name its resource without a pattern"
  }
  assert {
    condition = length(distinct([
      for acl in alicloud_rocketmq_acl.this : "${acl.username} ${acl.resource_type} ${acl.resource_name}"
    ])) == length(alicloud_rocketmq_acl.this)
    error_message = "an account must have one entry for each resource: two overwrite each other"
  }
  assert {
    condition     = alicloud_rocketmq_instance.this.acl_info[0].default_vpc_auth_free == false
    error_message = "authentication in the VPC must be on"
  }
  assert {
    condition     = contains(alicloud_rocketmq_instance.this.acl_info[0].acl_types, "apache_acl")
    error_message = "the accounts need apache_acl"
  }
}

run "a_password_shared_by_function_and_worker_is_rejected" {
  command = plan

  variables {
    worker_password = "function-password"
  }

  expect_failures = [var.worker_password]
}

run "accounts_without_acl_are_rejected" {
  command = plan

  variables {
    acl_types = ["default"]
  }

  expect_failures = [var.acl_types]
}
