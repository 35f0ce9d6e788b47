# The article's third failure: a function that waits for a slow third party is billed for every second of it.
# A payment provider answers with a separate request, which the function publishes to a topic.
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

run "synchronous_wait" {
  command = plan

  assert {
    condition     = contains(keys(alicloud_rocketmq_topic.this), "payments") && alicloud_rocketmq_topic.this["payments"].topic_name != alicloud_rocketmq_topic.this["orders"].topic_name
    error_message = "payment events need their own topic between webhook and worker"
  }
  assert {
    condition = anytrue([
      for acl in alicloud_rocketmq_acl.this :
      acl.username == "spillway-test-function-a" && acl.resource_name == "payment-events" && contains(acl.actions, "Pub")
    ])
    error_message = "the function must have the right to publish payment events"
  }
  assert {
    condition = alltrue([
      for acl in alicloud_rocketmq_acl.this : !contains(acl.actions, "Sub") if acl.username == "spillway-test-function-a"
    ])
    error_message = "the function must not consume: a consumer waits and is billed for it"
  }
}
