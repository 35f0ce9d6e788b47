locals {
  port = 3306

  database = "spillway"
  # `drain-worker tune` writes only to databases with this prefix.
  tune_database = "spillway_scratch"

  # At most 16 characters (certain: the vendor's SDK).
  accounts = {
    worker   = "spillway_worker"
    migrator = "spillway_migrate"
    tune     = "spillway_tune"
  }

  # Privilege and database of each account.
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
  connections_max = var.size.connections_max != null ? var.size.connections_max : lookup(local.class_connections, var.size.node_class, null)

  # Host names by endpoint, as the service reports them.
  hosts = {
    for endpoint in data.alicloud_polardb_endpoints.this.endpoints : endpoint.db_endpoint_id => one([
      for address in endpoint.address_items : address.connection_string if address.net_type == "Private"
    ])
  }
  host_primary = local.hosts[alicloud_polardb_primary_endpoint.this.db_endpoint_id]
  host_custom  = local.hosts[alicloud_polardb_endpoint.worker.db_endpoint_id]
}
