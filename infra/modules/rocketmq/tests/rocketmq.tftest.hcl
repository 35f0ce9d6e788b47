mock_provider "alicloud" {
  mock_resource "alicloud_rocketmq_instance" {
    defaults = {
      id = "rmq-cn-1"
    }
  }
}

variables {
  resource_group_id  = "rg-1"
  size               = { series = "standard", sub_series = "serverless", spec = "rmq.s2.2xlarge", retention_h = 72, storage_key_id = null }
  name               = "spillway-test"
  vpc_id             = "vpc-1"
  vswitch_ids        = ["vsw-a", "vsw-b"]
  security_group_id  = "sg-data"
  function_passwords = { a = "function-password" }
  worker_password    = "worker-password"
}

run "serverless_by_default_and_closed_to_the_internet" {
  command = plan

  assert {
    condition     = alicloud_rocketmq_instance.this.sub_series_code == "serverless" && alicloud_rocketmq_instance.this.commodity_code == "ons_rmqsrvlesspost_public_cn"
    error_message = "serverless must be the default, with its own commodity code"
  }
  assert {
    condition = (
      alicloud_rocketmq_instance.this.network_info[0].internet_info[0].internet_spec == "disable" &&
      alicloud_rocketmq_instance.this.network_info[0].internet_info[0].flow_out_type == "uninvolved"
    )
    error_message = "the instance must have no public endpoint"
  }
  assert {
    condition     = length(alicloud_rocketmq_instance.this.network_info[0].vpc_info[0].vswitches) == 2
    error_message = "the endpoint must be in two vSwitches"
  }
  # "Message storage encryption" of RocketMQ 5.x: Platinum (ultimate) alone, with a key of a paid KMS instance.
  assert {
    condition     = alicloud_rocketmq_instance.this.product_info[0].storage_encryption == false && alicloud_rocketmq_instance.this.product_info[0].storage_secret_key == null
    error_message = "the other series refuse encrypted storage"
  }
  assert {
    condition     = alicloud_rocketmq_instance.this.product_info[0].send_receive_ratio == 0.5
    error_message = "sends must have half of the throughput"
  }
}

run "messages_go_to_the_dead_letter_topic_after_the_last_retry" {
  command = plan

  assert {
    condition = (
      alicloud_rocketmq_consumer_group.drain.consume_retry_policy[0].dead_letter_target_topic == "drain-dead-letters" &&
      alicloud_rocketmq_consumer_group.drain.consume_retry_policy[0].max_retry_times == 16
    )
    error_message = "the group drain must have a dead letter topic and 16 retries"
  }
  assert {
    condition     = alicloud_rocketmq_consumer_group.dead_letters.consume_retry_policy[0].dead_letter_target_topic == null
    error_message = "the group of dead letters must not send to its own topic"
  }
  assert {
    condition     = alicloud_rocketmq_consumer_group.dead_letters.consume_retry_policy[0].max_retry_times > alicloud_rocketmq_consumer_group.drain.consume_retry_policy[0].max_retry_times
    error_message = "the group of dead letters must have more retries than drain: it has no dead letter topic"
  }
}

run "outputs_have_what_the_services_need" {
  command = apply

  assert {
    condition     = output.group_names == { drain = "drain", dead_letters = "drain-dead-letters" }
    error_message = "group names must be these"
  }
  assert {
    condition     = output.account_names == { function-a = "spillway-test-function-a", worker = "spillway-test-worker" }
    error_message = "account names must be these"
  }
  assert {
    condition     = output.endpoint == null
    error_message = "without a reported endpoint the output must be null"
  }
}

run "a_key_encrypts_the_storage_of_the_ultimate_series" {
  command = plan
  variables {
    size = { series = "ultimate", sub_series = "cluster_ha", spec = "rmq.u2.10xlarge", retention_h = 72, storage_key_id = "key-1" }
  }

  assert {
    condition     = alicloud_rocketmq_instance.this.product_info[0].storage_encryption == true && alicloud_rocketmq_instance.this.product_info[0].storage_secret_key == "key-1"
    error_message = "the key must encrypt the storage"
  }
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

run "synchronous_wait" {
  command = plan

  assert {
    condition = alltrue([
      for acl in alicloud_rocketmq_acl.this : !contains(acl.actions, "Sub") if acl.username == "spillway-test-function-a"
    ])
    error_message = "the function must not consume: a consumer waits and is billed for it"
  }
}

run "bad_values_are_rejected" {
  command = plan

  variables {
    # a receive limit below the cap
    drain_receive_tps_max = 1000
    # a key in another series
    size = { series = "standard", sub_series = "serverless", spec = "rmq.s2.2xlarge", retention_h = 72, storage_key_id = "key-1" }
    # a password shared by function and worker
    worker_password = "function-password"
    # accounts without acl
    acl_types = ["default"]
  }

  expect_failures = [var.drain_receive_tps_max, var.size, var.worker_password, var.acl_types]
}
