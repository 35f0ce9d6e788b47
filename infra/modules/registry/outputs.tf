output "instance_id" {
  description = "Id of the instance."
  value       = alicloud_cr_ee_instance.this.id
}

output "namespace" {
  description = "Namespace of the repositories."
  value       = var.name
}

output "address" {
  description = "Public host and namespace, for pushes."
  value       = "${local.host}/${var.name}"
}

output "pull_address" {
  description = "Host and namespace within the VPC, for pulls."
  value       = "${local.host_vpc}/${var.name}"
}

output "push_cidrs" {
  description = "Ranges that reach the public endpoint, by name, read from the entries."
  value       = { for entry in alicloud_cr_internet_endpoint.this.entries : entry.comment => entry.entry }
}
