# The article's first failure: 2,000 instances of a function each opened a connection, and the database died in four
# seconds. Here only members of the worker's security group may connect, and the connection limit is an output
# that the worker's module checks against.
mock_provider "alicloud" {}

variables {
  name               = "spillway-test"
  vpc_id             = "vpc-1"
  zones              = ["cn-hangzhou-j", "cn-hangzhou-k"]
  vswitch_ids        = { cn-hangzhou-j = "vsw-j", cn-hangzhou-k = "vsw-k" }
  security_group_ids = ["sg-worker"]
  node_class         = "polar.mysql.g2.medium"
  passwords          = { worker = "Worker-Pass-1", migrator = "Migrator-Pass-1", tune = "Tune-Pass-1" }
}

run "connection_bomb" {
  command = plan

  assert {
    condition     = alicloud_polardb_cluster.this.security_group_ids == toset(["sg-worker"]) && alicloud_polardb_cluster.this.security_ips == toset(["127.0.0.1"])
    error_message = "only members of the worker's group may reach the database"
  }
  assert {
    condition     = output.connections_max == 1800
    error_message = "the connection limit of the node class must be known"
  }
}

run "an_unknown_connection_limit_is_rejected" {
  command = plan

  variables {
    node_class = "polar.mysql.x9.huge"
  }

  expect_failures = [alicloud_polardb_cluster.this]
}

run "an_empty_list_of_security_groups_is_rejected" {
  command = plan

  variables {
    security_group_ids = []
  }

  expect_failures = [var.security_group_ids]
}
