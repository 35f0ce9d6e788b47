output "nat_gateway_id" {
  description = "Id of the NAT gateway."
  value       = alicloud_nat_gateway.this.id
}

output "eip_ids" {
  description = "Ids of the elastic addresses, by their number from 1."
  value       = { for index, eip in alicloud_eip_address.this : tostring(index + 1) => eip.id }
}

output "eip_addresses" {
  description = "The addresses that the world sees, for others' lists of who may come in."
  value       = alicloud_eip_address.this[*].ip_address
}

output "snat_vswitch_ids" {
  description = "vSwitches that have a way out, by name: read from the entries, not from what was asked for."
  value       = { for name, entry in alicloud_snat_entry.this : name => entry.source_vswitch_id }
}

output "deletion_protected" {
  description = "Whether deleting an address is refused."
  value       = anytrue(alicloud_eip_address.this[*].deletion_protection)
}
