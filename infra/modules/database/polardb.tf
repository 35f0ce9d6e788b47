resource "alicloud_polardb_cluster" "this" {
  description = var.name
  db_type     = "MySQL"
  db_version  = "8.0"
  # 8.0.1 is compatible with MySQL 8.0.13, which parses CHECK constraints and ignores them; 8.0.2 with 8.0.18.
  db_minor_version = "8.0.2"
  db_node_class    = var.size.node_class
  db_node_count    = var.size.node_count
  pay_type         = "PostPaid"

  vpc_id     = var.vpc_id
  vswitch_id = var.vswitch_ids[var.zones[0]]
  zone_id    = var.zones[0]
  # Storage and a node stand by in the second zone. They follow asynchronously: the loss of a zone may lose the last commits
  # (see the README).
  hot_standby_cluster = "ON"
  standby_az          = var.zones[1]

  # Only members of the groups may connect. The loopback address is a placeholder: an empty list allows the whole VPC.
  security_group_ids = var.security_group_ids
  security_ips       = ["127.0.0.1"]

  proxy_type  = var.proxy.type
  proxy_class = var.proxy.class

  deletion_lock                               = var.deletion_lock ? 1 : 0
  backup_retention_policy_on_cluster_deletion = "LATEST"
  # When the vendor may restart nodes, UTC: 04:00 in China, after the backup. No sale then.
  maintain_time      = "20:00Z-21:00Z"
  tde_status         = "Enabled"
  encrypt_new_tables = "ON"

  # All times in rows are UTC, and the pool uses the database's clock.
  default_time_zone = "+0:00"

  # A session that stalls inside a transaction holds locks on stock until the server closes it. The worker sets a shorter
  # value for its sessions, its lease and five seconds, which the endpoint passes on; this one bounds all others.
  parameters {
    name  = "wait_timeout"
    value = "60"
  }
  parameters {
    name  = "innodb_lock_wait_timeout"
    value = "10"
  }

  resource_group_id = var.resource_group_id
  tags              = var.tags

  lifecycle {
    precondition {
      condition     = local.connections_max != null
      error_message = "connections_max must be given: the node class is not in the table of limits."
    }
  }
}

resource "alicloud_polardb_backup_policy" "this" {
  db_cluster_id                               = alicloud_polardb_cluster.this.id
  preferred_backup_period                     = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]
  preferred_backup_time                       = "19:00Z-20:00Z"
  data_level1_backup_retention_period         = var.size.backup_days
  log_backup_retention_period                 = var.size.backup_days
  backup_retention_policy_on_cluster_deletion = "LATEST"
}

# For `migrate`, `init` and `tune`, which need a connection of their own, without the proxy.
resource "alicloud_polardb_primary_endpoint" "this" {
  db_cluster_id   = alicloud_polardb_cluster.this.id
  net_type        = "Private"
  ssl_enabled     = "Enable"
  ssl_auto_rotate = "Enable"
}

data "alicloud_polardb_endpoints" "this" {
  db_cluster_id = alicloud_polardb_cluster.this.id

  # It lists the endpoints that exist when it is read.
  depends_on = [alicloud_polardb_primary_endpoint.this, alicloud_polardb_endpoint.worker]
}

resource "alicloud_polardb_endpoint" "worker" {
  db_cluster_id           = alicloud_polardb_cluster.this.id
  db_endpoint_description = "drain-worker"
  endpoint_type           = "Custom"
  # 6 to 30 characters by one of the vendor's pages ("Modify or delete an endpoint" of PolarDB for MySQL), to 40 by newer ones.
  connection_prefix = "${var.name}-drain"
  port              = tostring(local.port)
  net_type          = "Private"
  ssl_enabled       = "Enable"
  ssl_auto_rotate   = "Enable"

  # The default is ReadOnly, on which no batch could commit.
  read_write_mode    = "ReadWrite"
  auto_add_new_nodes = "Enable"

  endpoint_config = {
    # Off: a whole transaction goes to the primary. With splitting, its plain reads would go to a replica and could be
    # older than the rows that the batch locks.
    DistributedTransaction = "off"
    # Global: a read outside a transaction sees the commits of all workers, not only of its own session. One worker writes
    # the shares of the cap, and the others read them.
    ConsistLevel = "2"
    # If a replica lags, the primary answers instead of an error.
    ConsistTimeoutAction = "0"
    # The primary answers reads too: there are few, and it has no lag.
    MasterAcceptReads = "on"
    # Off or Session. With Transaction, prepared statements pin their connections, and the driver prepares all statements.
    ConnectionPersist = lower(var.proxy.pooling) == "off" ? "off" : var.proxy.pooling
  }
}

resource "alicloud_polardb_database" "this" {
  for_each = toset([local.database, local.tune_database])

  db_cluster_id      = alicloud_polardb_cluster.this.id
  db_name            = each.key
  character_set_name = "utf8mb4"
}

resource "alicloud_polardb_account" "this" {
  for_each = local.accounts

  db_cluster_id       = alicloud_polardb_cluster.this.id
  account_name        = each.value
  account_password    = var.passwords[each.key]
  account_type        = "Normal"
  account_description = "drain-worker: ${each.key}"
}

resource "alicloud_polardb_account_privilege" "this" {
  for_each = local.grants

  db_cluster_id     = alicloud_polardb_cluster.this.id
  account_name      = alicloud_polardb_account.this[each.key].account_name
  account_privilege = each.value.privilege
  db_names          = [alicloud_polardb_database.this[each.value.database].db_name]
}
