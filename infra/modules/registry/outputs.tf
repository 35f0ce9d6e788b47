output "instance_id" {
  description = "Id of the instance, which function and worker name beside their image."
  value       = alicloud_cr_ee_instance.this.id
}

output "namespace" {
  description = "Namespace of the repositories."
  value       = var.name
}

output "repository_urls" {
  description = "Where each image is pushed to and pulled from, without a tag, by the repository's name."
  value       = { for name in var.repositories : name => "${local.host}/${var.name}/${name}" }
}
