mock_provider "alicloud" {
  mock_resource "alicloud_rocketmq_instance" {
    defaults = {
      id = "rmq-cn-1"
    }
  }
}

variables {
  name               = "spillway-test"
  vpc_id             = "vpc-1"
  vswitch_ids        = ["vsw-a", "vsw-b"]
  security_group_id  = "sg-data"
  spec               = "rmq.s2.2xlarge"
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

run "fixed_instances_have_another_commodity_code" {
  command = plan

  variables {
    series     = "professional"
    sub_series = "cluster_ha"
    spec       = "rmq.p2.100xlarge"
  }

  assert {
    condition     = alicloud_rocketmq_instance.this.commodity_code == "ons_rmqpost_public_cn"
    error_message = "fixed instances must have their commodity code"
  }
}

run "topics_have_their_types" {
  command = plan

  assert {
    condition = { for use, topic in alicloud_rocketmq_topic.this : topic.topic_name => topic.message_type } == {
      orders             = "NORMAL"
      drain-dead-letters = "NORMAL"
    }
    error_message = "topics must have these types"
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

run "the_broker_limits_the_drains_receive_rate" {
  command = plan

  assert {
    condition     = alicloud_rocketmq_consumer_group.drain.max_receive_tps == 4000
    error_message = "the broker must limit the drain's receive rate"
  }
}

run "a_receive_limit_below_the_cap_is_rejected" {
  command = plan

  variables {
    drain_receive_tps_max = 1000
  }

  expect_failures = [var.drain_receive_tps_max]
}

run "a_receive_limit_that_is_too_high_is_rejected" {
  command = plan

  variables {
    drain_receive_tps_max = 50000
  }

  expect_failures = [var.drain_receive_tps_max]
}

run "one_zone_is_rejected" {
  command = plan

  variables {
    vswitch_ids = ["vsw-a"]
  }

  expect_failures = [var.vswitch_ids]
}

run "a_range_of_everywhere_is_rejected" {
  command = plan

  variables {
    client_cidrs = ["0.0.0.0/0"]
  }

  expect_failures = [var.client_cidrs]
}

run "a_topic_name_with_spaces_is_rejected" {
  command = plan

  variables {
    topics = { orders = "orders of today" }
  }

  expect_failures = [var.topics]
}

run "a_topic_with_two_uses_is_rejected" {
  command = plan

  variables {
    topics = { orders = "drain-dead-letters" }
  }

  expect_failures = [var.topics]
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
    series         = "ultimate"
    sub_series     = "cluster_ha"
    spec           = "rmq.u2.10xlarge"
    storage_key_id = "key-1"
  }

  assert {
    condition     = alicloud_rocketmq_instance.this.product_info[0].storage_encryption == true && alicloud_rocketmq_instance.this.product_info[0].storage_secret_key == "key-1"
    error_message = "the key must encrypt the storage"
  }
}

run "a_key_in_another_series_is_rejected" {
  command = plan
  variables {
    storage_key_id = "key-1"
  }
  expect_failures = [var.storage_key_id]
}
