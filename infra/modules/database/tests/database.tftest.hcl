mock_provider "alicloud" {
  mock_resource "alicloud_polardb_cluster" {
    defaults = {
      id = "pc-1"
    }
  }
  mock_resource "alicloud_polardb_endpoint" {
    defaults = {
      db_endpoint_id = "pe-worker"
    }
  }
  mock_resource "alicloud_polardb_primary_endpoint" {
    defaults = {
      db_endpoint_id = "pe-primary"
    }
  }
  mock_data "alicloud_polardb_endpoints" {
    defaults = {
      endpoints = [
        { db_endpoint_id = "pe-cluster", endpoint_type = "Cluster", address_items = [{ net_type = "Private", connection_string = "cluster.example" }] },
        { db_endpoint_id = "pe-primary", endpoint_type = "Primary", address_items = [{ net_type = "Private", connection_string = "primary.example" }] },
        { db_endpoint_id = "pe-worker", endpoint_type = "Custom", address_items = [{ net_type = "Private", connection_string = "worker.example" }] },
      ]
    }
  }
}

variables {
  resource_group_id  = "rg-1"
  name               = "spillway-test"
  vpc_id             = "vpc-1"
  zones              = ["cn-hangzhou-j", "cn-hangzhou-k"]
  vswitch_ids        = { cn-hangzhou-j = "vsw-j", cn-hangzhou-k = "vsw-k" }
  security_group_ids = ["sg-worker"]
  size               = { node_class = "polar.mysql.x4.medium", node_count = 2, connections_max = null, backup_days = 7 }
  passwords          = { worker = "Worker-Pass-1", migrator = "Migrator-Pass-1", tune = "Tune-Pass-1" }
}

run "accounts_have_the_least_grants" {
  command = plan

  assert {
    condition = (
      alicloud_polardb_account_privilege.this["worker"].account_privilege == "DMLOnly" &&
      alicloud_polardb_account_privilege.this["worker"].db_names == toset(["spillway"])
    )
    error_message = "the worker must read and write rows of spillway, and change no table"
  }
  assert {
    condition     = alicloud_polardb_account_privilege.this["migrator"].db_names == toset(["spillway"])
    error_message = "the migrator must change spillway only"
  }
  assert {
    condition = (
      alicloud_polardb_account_privilege.this["tune"].db_names == toset(["spillway_scratch"]) &&
      !contains(alicloud_polardb_account_privilege.this["tune"].db_names, "spillway")
    )
    error_message = "tune must have access to its scratch database only"
  }
  assert {
    condition     = alltrue([for account in alicloud_polardb_account.this : account.account_type == "Normal"])
    error_message = "no account may be privileged"
  }
  assert {
    condition     = length(alicloud_polardb_account.this) == 3 && length(alicloud_polardb_account_privilege.this) == 3
    error_message = "there must be three accounts with one grant each"
  }
}

# 2 to 16 characters, a lower-case letter first, a letter or digit last (polardb-20170801 of 2026-07-17, CreateAccount).
run "names_of_accounts_are_short_enough" {
  command = plan

  assert {
    condition     = alltrue([for account in alicloud_polardb_account.this : can(regex("^[a-z][a-z0-9_]{0,14}[a-z0-9]$", account.account_name))])
    error_message = "the service must accept the names"
  }
}

run "connection_bomb" {
  command = plan

  assert {
    condition     = alicloud_polardb_cluster.this.security_group_ids == toset(["sg-worker"]) && alicloud_polardb_cluster.this.security_ips == toset(["127.0.0.1"])
    error_message = "only members of the worker's group may reach the database"
  }
  assert {
    condition     = output.connections_max == 6000
    error_message = "the connection limit of the node class must be known"
  }
}

run "an_unknown_connection_limit_is_rejected" {
  command = plan

  variables {
    size = { node_class = "polar.mysql.x9.huge", node_count = 2, connections_max = null, backup_days = 7 }
  }

  expect_failures = [alicloud_polardb_cluster.this]
}

run "nodes_are_in_two_zones" {
  command = plan

  assert {
    condition = (
      alicloud_polardb_cluster.this.zone_id == "cn-hangzhou-j" &&
      alicloud_polardb_cluster.this.standby_az == "cn-hangzhou-k" &&
      alicloud_polardb_cluster.this.hot_standby_cluster == "ON" &&
      alicloud_polardb_cluster.this.vswitch_id == "vsw-j"
    )
    error_message = "the second zone must have the hot standby"
  }
  assert {
    condition     = alicloud_polardb_cluster.this.db_node_count >= 2
    error_message = "the cluster must have at least two nodes"
  }
}

run "the_cluster_is_locked_encrypted_and_backed_up" {
  command = plan

  assert {
    condition     = alicloud_polardb_cluster.this.deletion_lock == 1
    error_message = "the cluster must be locked against deletion"
  }
  assert {
    condition     = alicloud_polardb_cluster.this.tde_status == "Enabled" && alicloud_polardb_endpoint.worker.ssl_enabled == "Enable" && alicloud_polardb_primary_endpoint.this.ssl_enabled == "Enable"
    error_message = "data must be encrypted at rest and in transit"
  }
  assert {
    condition = (
      alicloud_polardb_backup_policy.this.data_level1_backup_retention_period == 7 &&
      alicloud_polardb_backup_policy.this.log_backup_retention_period == 7 &&
      length(alicloud_polardb_backup_policy.this.preferred_backup_period) == 7
    )
    error_message = "backups must be daily, with logs for point-in-time recovery"
  }
  assert {
    condition     = alicloud_polardb_cluster.this.default_time_zone == "+0:00"
    error_message = "the time zone must be UTC"
  }
}

# 8.0.1 is compatible with MySQL 8.0.13, which parses CHECK constraints and ignores them (PolarDB, "Engine versions", and
# MySQL 8.0.16's release notes); 8.0.2 with 8.0.18.
run "the_version_enforces_check_constraints" {
  command = plan

  assert {
    condition     = alicloud_polardb_cluster.this.db_minor_version == "8.0.2"
    error_message = "the minor version must be 8.0.2"
  }
}

run "the_worker_endpoint_does_not_split_transactions" {
  command = plan

  assert {
    condition = (
      alicloud_polardb_endpoint.worker.endpoint_type == "Custom" &&
      alicloud_polardb_endpoint.worker.read_write_mode == "ReadWrite" &&
      alicloud_polardb_endpoint.worker.net_type == "Private"
    )
    error_message = "the worker must have its own private read-write endpoint"
  }
  assert {
    condition     = alicloud_polardb_endpoint.worker.endpoint_config["DistributedTransaction"] == "off"
    error_message = "transaction splitting must be off"
  }
  assert {
    condition     = alicloud_polardb_endpoint.worker.endpoint_config["ConnectionPersist"] == "off"
    error_message = "connection pooling must be off"
  }
  assert {
    condition = (
      alicloud_polardb_endpoint.worker.endpoint_config["ConsistLevel"] == "2" &&
      alicloud_polardb_endpoint.worker.endpoint_config["ConsistTimeoutAction"] == "0" &&
      alicloud_polardb_endpoint.worker.endpoint_config["MasterAcceptReads"] == "on"
    )
    error_message = "reads outside a transaction must see the commits of all workers"
  }
}

run "outputs" {
  command = apply

  assert {
    condition     = output.host_worker == "worker.example" && output.host_primary == "primary.example"
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
    condition     = output.host_worker == "primary.example"
    error_message = "the worker must use the primary's host"
  }
}

run "bad_values_are_rejected" {
  command = plan

  variables {
    # a shared password
    passwords = { worker = "Migrator-Pass-1", migrator = "Migrator-Pass-1", tune = "Tune-Pass-1" }
    # transaction pooling
    proxy = { pooling = "Transaction" }
    # one node
    size = { node_class = "polar.mysql.x4.medium", node_count = 1, connections_max = null, backup_days = 7 }
  }

  expect_failures = [var.passwords, var.proxy, var.size]
}

# "Modify or delete an endpoint" of PolarDB for MySQL: 6 to 30 lower-case letters, digits and dashes. The root's longest name has 24.
run "the_endpoint_of_the_longest_name_is_accepted" {
  variables {
    name = "spillway-of-a-shop-prod1"
  }

  assert {
    condition     = length(var.name) == 24 && can(regex("^[a-z][a-z0-9-]{4,28}[a-z0-9]$", alicloud_polardb_endpoint.worker.connection_prefix))
    error_message = "the endpoint's prefix is too long: ${alicloud_polardb_endpoint.worker.connection_prefix}"
  }
}
