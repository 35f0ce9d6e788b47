output "cluster_id" {
  description = "Id of the cluster."
  value       = alicloud_polardb_cluster.this.id
}

output "host_primary" {
  description = "Host of the primary, without the proxy: for `migrate`, `init` and `tune`, which need a dedicated connection."
  value       = local.host_primary
}

output "host_worker" {
  description = "Host for the workers' `SPILLWAY_DATABASE_URL`: the custom endpoint, or the primary by `worker_endpoint`."
  value       = var.worker_endpoint == "custom" ? local.host_custom : local.host_primary
}

output "port" {
  description = "Port of both hosts."
  value       = local.port
}

output "database_name" {
  description = "Database of orders and stock."
  value       = local.database
}

output "tune_database_name" {
  description = "Database that `drain-worker tune` fills, empties and drops; use it in the command's database URL."
  value       = local.tune_database
}

output "account_names" {
  description = "Accounts by their use: worker, migrator, tune."
  value       = local.accounts
}

output "connections_max" {
  description = "Connections that the node class allows, for the worker module's `database_connections_max`."
  value       = local.connections_max
}

output "security_group_ids" {
  description = "Security groups whose members may connect, read from the cluster."
  value       = alicloud_polardb_cluster.this.security_group_ids
}

output "deletion_protected" {
  description = "True if the service rejects deletion of the database."
  value       = alicloud_polardb_cluster.this.deletion_lock == 1
}
