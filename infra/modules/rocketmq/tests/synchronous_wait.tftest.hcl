# The article's third failure: a function that waits for a slow third party is billed for every second of it.
# Here the function publishes and never waits for a message.
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
    condition = alltrue([
      for acl in alicloud_rocketmq_acl.this : !contains(acl.actions, "Sub") if acl.username == "spillway-test-function-a"
    ])
    error_message = "the function must not consume: a consumer waits and is billed for it"
  }
}
