mock_provider "alicloud" {
  mock_resource "alicloud_db_instance" {
    defaults = {
      id                = "rm-1"
      connection_string = "rm-1.mysql.rds.example"
    }
  }
  mock_resource "alicloud_rds_db_proxy" {
    defaults = {
      db_proxy_connection_string = "spillway-test-worker.rwlb.example"
    }
  }
}

variables {
  name               = "spillway-test"
  engine             = "rds"
  vpc_id             = "vpc-1"
  zones              = ["cn-hangzhou-j", "cn-hangzhou-k"]
  vswitch_ids        = { cn-hangzhou-j = "vsw-j", cn-hangzhou-k = "vsw-k" }
  security_group_ids = ["sg-worker"]
  node_class         = "mysql.x4.large.2c"
  connections_max    = 4000
  passwords          = { worker = "Worker-Pass-1", migrator = "Migrator-Pass-1", tune = "Tune-Pass-1" }
}

run "the_engine_variable_selects_rds" {
  command = plan

  assert {
    condition     = length(alicloud_polardb_cluster.this) == 0 && length(alicloud_polardb_endpoint.worker) == 0 && length(alicloud_polardb_account.this) == 0
    error_message = "there must be no PolarDB resource"
  }
  assert {
    condition = (
      alicloud_db_instance.this[0].category == "HighAvailability" &&
      alicloud_db_instance.this[0].zone_id == "cn-hangzhou-j" &&
      alicloud_db_instance.this[0].zone_id_slave_a == "cn-hangzhou-k" &&
      alicloud_db_instance.this[0].vswitch_id == "vsw-j,vsw-k"
    )
    error_message = "the instance must be highly available over two zones"
  }
  assert {
    condition     = alicloud_db_instance.this[0].deletion_protection == true && alicloud_db_instance.this[0].ssl_action == "Open"
    error_message = "the instance must be protected against deletion and use TLS"
  }
  assert {
    condition     = alicloud_db_instance.this[0].security_group_ids == toset(["sg-worker"]) && alicloud_db_instance.this[0].security_ips == toset(["127.0.0.1"])
    error_message = "only members of the worker's security group may connect, and no address range"
  }
  assert {
    condition     = alicloud_db_backup_policy.this[0].enable_backup_log == true && alicloud_db_backup_policy.this[0].backup_retention_period == 7
    error_message = "backups must be daily, with logs for point-in-time recovery"
  }
}

run "the_rds_proxy_does_not_split_transactions" {
  command = plan

  assert {
    condition     = alicloud_rds_db_proxy.worker[0].db_proxy_features == "TransactionReadSqlRouteOptimizeStatus:0;ConnectionPersist:0;ReadWriteSpliting:1"
    error_message = "transaction splitting and pooling must be off"
  }
  assert {
    condition     = alicloud_rds_db_proxy.worker[0].db_proxy_endpoint_read_write_mode == "ReadWrite" && alicloud_rds_db_proxy.worker[0].db_proxy_instance_num == 2
    error_message = "the proxy must be read-write and have two nodes"
  }
}

run "outputs" {
  command = apply

  assert {
    condition     = output.host_worker == "spillway-test-worker.rwlb.example" && output.host_primary == "rm-1.mysql.rds.example" && output.cluster_id == "rm-1"
    error_message = "host names and id must be these"
  }
}
