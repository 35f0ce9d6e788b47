locals {
  polardb = var.engine == "polardb"
  port    = 3306

  database = "spillway"
  # `drain-worker tune` writes only to databases with this prefix.
  tune_database = "spillway_scratch"

  accounts = {
    worker   = "spillway_worker"
    migrator = "spillway_migrator"
    tune     = "spillway_tune"
  }

  # Privilege and database of each account. Both engines have these privileges.
  grants = {
    # SELECT, INSERT, UPDATE, DELETE and their locks: all that `run` needs.
    worker = { privilege = "DMLOnly", database = local.database }
    # DDLOnly has no SELECT and no INSERT, but `migrate` records migrations in a table, and `init` writes stock and limits.
    migrator = { privilege = "ReadWrite", database = local.database }
    # Creates and drops tables and its own database; no other database.
    tune = { privilege = "ReadWrite", database = local.tune_database }
  }

  # Vendor limits of connections (certain, page "Limits" of PolarDB for MySQL).
  class_connections = {
    "polar.mysql.g2.medium"  = 1800
    "polar.mysql.g4.large"   = 6000
    "polar.mysql.x4.medium"  = 6000
    "polar.mysql.x4.large"   = 8000
    "polar.mysql.x4.xlarge"  = 10000
    "polar.mysql.x8.xlarge"  = 16000
    "polar.mysql.x8.2xlarge" = 32000
  }
  connections_max = var.connections_max != null ? var.connections_max : lookup(local.class_connections, var.node_class, null)

  worker_prefix = "${var.name}-worker"

  host_primary = local.polardb ? "${one(alicloud_polardb_cluster.this[*].id)}.${var.host_domains.primary}" : one(alicloud_db_instance.this[*].connection_string)
  host_custom = local.polardb ? (
    var.tls ? one(alicloud_polardb_endpoint.worker[*].ssl_connection_string) : "${local.worker_prefix}.${var.host_domains.custom}"
  ) : one(alicloud_rds_db_proxy.worker[*].db_proxy_connection_string)
}
