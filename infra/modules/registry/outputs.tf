output "instance_id" {
  description = "Id of the instance, which function and worker name beside their image."
  value       = alicloud_cr_ee_instance.this.id
}

output "namespace" {
  description = "Namespace of the repositories."
  value       = var.name
}

output "address" {
  description = "Host and namespace that images are pushed to, from the internet."
  value       = "${local.host}/${var.name}"
}

output "pull_address" {
  description = "Host and namespace that images are pulled from within the VPC."
  value       = "${local.host_vpc}/${var.name}"
}

output "push_cidrs" {
  description = "Who reaches the registry from the internet, by name: read from the entries, not from what was asked for."
  value       = { for entry in alicloud_cr_endpoint_acl_policy.this : entry.description => entry.entry }
}

output "push_steps" {
  description = "Command that turns the endpoint on the internet on, once, which the provider has no resource for."
  value = [
    "aliyun cr UpdateInstanceEndpointStatus --region ${var.region} --InstanceId ${alicloud_cr_ee_instance.this.id} --EndpointType internet --ModuleName Registry --Enable true",
  ]
}
