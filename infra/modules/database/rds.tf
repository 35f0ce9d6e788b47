resource "alicloud_db_instance" "this" {
  count = local.polardb ? 0 : 1

  instance_name            = var.name
  engine                   = "MySQL"
  engine_version           = "8.0"
  category                 = "HighAvailability"
  instance_type            = var.node_class
  instance_storage         = var.storage_gb
  db_instance_storage_type = "cloud_essd"
  instance_charge_type     = "Postpaid"
  storage_auto_scale       = "Enable"
  storage_threshold        = 20
  storage_upper_bound      = var.storage_gb * 4

  vpc_id          = var.vpc_id
  zone_id         = var.zones[0]
  zone_id_slave_a = var.zones[1]
  vswitch_id      = join(",", [for zone in var.zones : var.vswitch_ids[zone]])

  security_group_ids = var.security_group_ids
  security_ips       = ["127.0.0.1"]

  deletion_protection = var.deletion_lock
  maintain_time       = var.maintain_time
  ssl_action          = var.tls ? "Open" : "Close"
  encryption_key      = var.encrypted ? coalesce(var.encryption_key_id, "ServiceKey") : null
  # All times in rows are UTC, and the pool uses the database's clock.
  db_time_zone = "+0:00"

  parameters {
    name  = "wait_timeout"
    value = "60"
  }
  parameters {
    name  = "innodb_lock_wait_timeout"
    value = "10"
  }

  tags = var.tags

  lifecycle {
    precondition {
      condition     = var.connections_max != null
      error_message = "connections_max must be given for engine rds: its classes are not in the table of limits."
    }
  }
}

resource "alicloud_db_backup_policy" "this" {
  count = local.polardb ? 0 : 1

  instance_id                 = alicloud_db_instance.this[0].id
  preferred_backup_period     = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]
  preferred_backup_time       = var.backup_time
  backup_retention_period     = var.backup_days
  enable_backup_log           = true
  log_backup_retention_period = var.backup_days
  released_keep_policy        = "Lastest"
}

resource "alicloud_rds_db_proxy" "worker" {
  count = local.polardb ? 0 : 1

  instance_id                  = alicloud_db_instance.this[0].id
  instance_network_type        = "VPC"
  vpc_id                       = var.vpc_id
  vswitch_id                   = var.vswitch_ids[var.zones[0]]
  db_proxy_instance_num        = var.proxy.instances
  db_proxy_connection_prefix   = local.worker_prefix
  db_proxy_connect_string_port = local.port
  db_proxy_ssl_enabled         = var.tls ? "Open" : "Close"

  db_proxy_endpoint_read_write_mode = "ReadWrite"
  # No transaction splitting and no transaction pooling, for the reasons given at PolarDB's endpoint.
  db_proxy_features = join(";", [
    "TransactionReadSqlRouteOptimizeStatus:0",
    "ConnectionPersist:${var.proxy.pooling == "Session" ? 1 : 0}",
    "ReadWriteSpliting:1",
  ])
}

resource "alicloud_db_database" "this" {
  for_each = local.polardb ? toset([]) : toset([local.database, local.tune_database])

  instance_id    = alicloud_db_instance.this[0].id
  data_base_name = each.key
  character_set  = "utf8mb4"
}

resource "alicloud_rds_account" "this" {
  for_each = local.polardb ? {} : local.accounts

  db_instance_id      = alicloud_db_instance.this[0].id
  account_name        = each.value
  account_password    = var.passwords[each.key]
  account_type        = "Normal"
  account_description = "drain-worker: ${each.key}"
}

resource "alicloud_db_account_privilege" "this" {
  for_each = local.polardb ? {} : local.grants

  instance_id  = alicloud_db_instance.this[0].id
  account_name = alicloud_rds_account.this[each.key].account_name
  privilege    = each.value.privilege
  db_names     = [alicloud_db_database.this[each.value.database].data_base_name]
}
