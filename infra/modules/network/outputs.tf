output "vpc_id" {
  description = "Id of the VPC."
  value       = alicloud_vpc.this.id
}

output "function_vswitch_ids" {
  description = "vSwitches of the function by zone."
  value       = { for zone, vswitch in alicloud_vswitch.function : zone => vswitch.id }
}

output "worker_vswitch_ids" {
  description = "vSwitches of the workers by zone."
  value       = { for zone, vswitch in alicloud_vswitch.worker : zone => vswitch.id }
}

output "operator_vswitch_id" {
  description = "vSwitch of the deployment's runner and operators' machines."
  value       = alicloud_vswitch.operator.id
}

output "data_vswitch_ids" {
  description = "vSwitches of broker and database by zone."
  value       = { for zone, vswitch in alicloud_vswitch.data : zone => vswitch.id }
}

output "security_group_ids" {
  description = "Security groups by member: function, operator, worker, data."
  value       = { for who, group in alicloud_security_group.this : who => group.id }
}

output "reach" {
  description = "Allowed connections, one line for each rule: group, direction, name, protocol, port, range."
  value       = sort([for rule in alicloud_security_group_rule.this : "${rule.description} ${rule.ip_protocol} ${rule.port_range} ${rule.cidr_ip}"])
}
