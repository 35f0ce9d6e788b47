mock_provider "alicloud" {
  mock_resource "alicloud_polardb_cluster" {
    defaults = {
      id = "pc-1"
    }
  }
  mock_resource "alicloud_polardb_endpoint" {
    defaults = {
      ssl_connection_string = "spillway-test-worker.rwlb.example"
    }
  }
}

variables {
  name               = "spillway-test"
  vpc_id             = "vpc-1"
  zones              = ["cn-hangzhou-j", "cn-hangzhou-k"]
  vswitch_ids        = { cn-hangzhou-j = "vsw-j", cn-hangzhou-k = "vsw-k" }
  security_group_ids = ["sg-worker"]
  node_class         = "polar.mysql.x4.medium"
  passwords          = { worker = "Worker-Pass-1", migrator = "Migrator-Pass-1", tune = "Tune-Pass-1" }
}

run "nodes_are_in_two_zones" {
  command = plan

  assert {
    condition = (
      alicloud_polardb_cluster.this[0].zone_id == "cn-hangzhou-j" &&
      alicloud_polardb_cluster.this[0].standby_az == "cn-hangzhou-k" &&
      alicloud_polardb_cluster.this[0].hot_standby_cluster == "ON" &&
      alicloud_polardb_cluster.this[0].vswitch_id == "vsw-j"
    )
    error_message = "the second zone must have the hot standby"
  }
  assert {
    condition     = alicloud_polardb_cluster.this[0].db_node_count >= 2
    error_message = "the cluster must have at least two nodes"
  }
  assert {
    condition     = length(alicloud_db_instance.this) == 0 && length(alicloud_rds_db_proxy.worker) == 0
    error_message = "there must be no RDS resource"
  }
}

run "connections_come_from_the_named_groups_only" {
  command = plan

  assert {
    condition     = alicloud_polardb_cluster.this[0].security_group_ids == toset(["sg-worker"])
    error_message = "only members of the worker's security group may connect"
  }
  assert {
    condition     = alicloud_polardb_cluster.this[0].security_ips == toset(["127.0.0.1"])
    error_message = "no address range may connect"
  }
}

run "the_cluster_is_locked_encrypted_and_backed_up" {
  command = plan

  assert {
    condition     = alicloud_polardb_cluster.this[0].deletion_lock == 1
    error_message = "the cluster must be locked against deletion"
  }
  assert {
    condition     = alicloud_polardb_cluster.this[0].tde_status == "Enabled" && alicloud_polardb_endpoint.worker[0].ssl_enabled == "Enable"
    error_message = "data must be encrypted at rest and in transit"
  }
  assert {
    condition = (
      alicloud_polardb_backup_policy.this[0].data_level1_backup_retention_period == 7 &&
      alicloud_polardb_backup_policy.this[0].log_backup_retention_period == 7 &&
      length(alicloud_polardb_backup_policy.this[0].preferred_backup_period) == 7
    )
    error_message = "backups must be daily, with logs for point-in-time recovery"
  }
  assert {
    condition     = alicloud_polardb_cluster.this[0].default_time_zone == "+0:00"
    error_message = "the time zone must be UTC"
  }
}

run "the_worker_endpoint_does_not_split_transactions" {
  command = plan

  assert {
    condition = (
      alicloud_polardb_endpoint.worker[0].endpoint_type == "Custom" &&
      alicloud_polardb_endpoint.worker[0].read_write_mode == "ReadWrite" &&
      alicloud_polardb_endpoint.worker[0].net_type == "Private"
    )
    error_message = "the worker must have its own private read-write endpoint"
  }
  assert {
    condition     = alicloud_polardb_endpoint.worker[0].endpoint_config["DistributedTransaction"] == "off"
    error_message = "transaction splitting must be off"
  }
  assert {
    condition     = alicloud_polardb_endpoint.worker[0].endpoint_config["ConnectionPersist"] == "off"
    error_message = "connection pooling must be off"
  }
  assert {
    condition = (
      alicloud_polardb_endpoint.worker[0].endpoint_config["ConsistLevel"] == "2" &&
      alicloud_polardb_endpoint.worker[0].endpoint_config["ConsistTimeoutAction"] == "0" &&
      alicloud_polardb_endpoint.worker[0].endpoint_config["MasterAcceptReads"] == "on"
    )
    error_message = "reads outside a transaction must see the commits of all workers"
  }
}

run "session_pooling_can_be_enabled" {
  command = plan

  variables {
    proxy = { pooling = "Session" }
  }

  assert {
    condition     = alicloud_polardb_endpoint.worker[0].endpoint_config["ConnectionPersist"] == "Session"
    error_message = "pooling must be Session"
  }
}

run "transaction_pooling_is_rejected" {
  command = plan

  variables {
    proxy = { pooling = "Transaction" }
  }

  expect_failures = [var.proxy]
}

run "outputs" {
  command = apply

  assert {
    condition     = output.host_worker == "spillway-test-worker.rwlb.example" && output.host_primary == "pc-1.mysql.polardb.rds.aliyuncs.com"
    error_message = "host names must be these"
  }
  assert {
    condition     = output.port == 3306 && output.database_name == "spillway" && output.tune_database_name == "spillway_scratch"
    error_message = "port and database names must be these"
  }
}

run "the_worker_can_use_the_primary" {
  command = apply

  variables {
    worker_endpoint = "primary"
  }

  assert {
    condition     = output.host_worker == "pc-1.mysql.polardb.rds.aliyuncs.com"
    error_message = "the worker must use the primary's host"
  }
}

run "one_zone_is_rejected" {
  command = plan

  variables {
    zones = ["cn-hangzhou-j", "cn-hangzhou-j"]
  }

  expect_failures = [var.zones]
}

run "one_node_is_rejected" {
  command = plan

  variables {
    node_count = 1
  }

  expect_failures = [var.node_count]
}

run "a_class_of_the_other_engine_is_rejected" {
  command = plan

  variables {
    node_class = "mysql.x4.large.2c"
  }

  expect_failures = [var.node_class]
}
