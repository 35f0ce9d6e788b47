output "instance_id" {
  description = "The machine, for Session Manager."
  value       = alicloud_instance.this.id
}

output "cloud_init" {
  description = "The machine's set-up, for tests."
  value       = local.cloud_init
}
