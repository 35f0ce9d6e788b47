output "vpc_id" {
  description = "Id of the VPC."
  value       = alicloud_vpc.this.id
}

output "vpc_cidr" {
  description = "Range of the VPC."
  value       = var.vpc_cidr
}

output "zones" {
  description = "Zones, in the order of `subnets`."
  value       = var.subnets[*].zone
}

output "function_vswitch_ids" {
  description = "vSwitches of the function by zone; empty without `function_in_vpc`."
  value       = { for zone, vswitch in alicloud_vswitch.function : zone => vswitch.id }
}

output "worker_vswitch_ids" {
  description = "vSwitches of the workers by zone."
  value       = { for zone, vswitch in alicloud_vswitch.worker : zone => vswitch.id }
}

output "operator_vswitch_id" {
  description = "vSwitch of the deployment's runner and operators' machines; null if there is none."
  value       = one(alicloud_vswitch.operator[*].id)
}

output "data_vswitch_ids" {
  description = "vSwitches of broker and database by zone."
  value       = { for zone, vswitch in alicloud_vswitch.data : zone => vswitch.id }
}

output "data_cidr" {
  description = "Range of broker and database."
  value       = var.data_cidr
}

output "security_group_ids" {
  description = "Security groups by member: function (null without `function_in_vpc`), operator (null without `operator_cidr`), worker, data."
  value       = merge({ function = null, operator = null }, { for who, group in alicloud_security_group.this : who => group.id })
}

output "reach" {
  description = "Allowed connections, one line for each rule: group, direction, name, protocol, port, range."
  value       = sort([for rule in alicloud_security_group_rule.this : "${rule.description} ${rule.ip_protocol} ${rule.port_range} ${rule.cidr_ip}"])
}

output "flow_logged" {
  description = "True if there is a flow log."
  value       = length(alicloud_vpc_flow_log.this) > 0
}
