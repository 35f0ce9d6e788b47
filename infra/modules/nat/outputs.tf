output "nat_gateway_id" {
  description = "Id of the NAT gateway."
  value       = alicloud_nat_gateway.this.id
}

output "eip_ids" {
  description = "Ids of the elastic addresses, by their number from 1."
  value       = { for index, eip in alicloud_eip_address.this : tostring(index + 1) => eip.id }
}

output "eip_addresses" {
  description = "Public source addresses, for third parties' allow lists."
  value       = alicloud_eip_address.this[*].ip_address
}

output "snat_vswitch_ids" {
  description = "vSwitches with an SNAT entry, by name, read from the entries."
  value       = { for name, entry in alicloud_snat_entry.this : name => entry.source_vswitch_id }
}

output "deletion_protected" {
  description = "True if an address is protected against deletion."
  value       = anytrue(alicloud_eip_address.this[*].deletion_protection)
}
