resource "alicloud_nat_gateway" "this" {
  vpc_id               = var.vpc_id
  vswitch_id           = var.nat_vswitch_id
  nat_gateway_name     = var.name
  nat_type             = "Enhanced"
  network_type         = "internet"
  payment_type         = "PayAsYouGo"
  internet_charge_type = "PayByLcu"
  eip_bind_mode        = "MULTI_BINDED"
  tags                 = var.tags
}

resource "alicloud_eip_address" "this" {
  count = var.size.eip_count

  address_name         = "${var.name}-${count.index + 1}"
  bandwidth            = tostring(var.size.bandwidth_mbps)
  internet_charge_type = "PayByTraffic"
  payment_type         = "PayAsYouGo"
  # Merchants and payment services allow these addresses: new addresses would be rejected.
  deletion_protection = var.deletion_protection
  resource_group_id   = var.resource_group_id
  tags                = var.tags
}

resource "alicloud_eip_association" "this" {
  count = var.size.eip_count

  allocation_id = alicloud_eip_address.this[count.index].id
  instance_id   = alicloud_nat_gateway.this.id
  instance_type = "Nat"
}

# Without an entry a vSwitch has no egress although the gateway exists: calls hang until they time out (the article's
# SNAT black hole).
resource "alicloud_snat_entry" "this" {
  for_each = var.snat_vswitches

  snat_table_id     = alicloud_nat_gateway.this.snat_table_ids
  snat_entry_name   = "${var.name}-${each.key}"
  source_vswitch_id = each.value
  snat_ip           = join(",", alicloud_eip_address.this[*].ip_address)

  # An entry accepts only addresses that are associated with the gateway.
  depends_on = [alicloud_eip_association.this]
}
