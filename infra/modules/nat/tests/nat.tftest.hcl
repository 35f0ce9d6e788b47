mock_provider "alicloud" {
  mock_resource "alicloud_nat_gateway" {
    defaults = {
      id             = "ngw-1"
      snat_table_ids = "stb-1"
    }
  }
  mock_resource "alicloud_eip_address" {
    defaults = {
      id         = "eip-1"
      ip_address = "203.0.113.1"
    }
  }
}

variables {
  size              = { eip_count = 1, bandwidth_mbps = 10 }
  resource_group_id = "rg-1"
  name              = "spillway-test"
  vpc_id            = "vpc-1"
  nat_vswitch_id    = "vsw-worker-j"
  snat_vswitches = {
    function-j = "vsw-function-j"
    function-k = "vsw-function-k"
    worker-j   = "vsw-worker-j"
  }
}

# The article's second failure: a function in a VPC without egress to the internet.
run "snat_black_hole" {
  assert {
    condition     = toset(values(output.snat_vswitch_ids)) == toset(values(var.snat_vswitches))
    error_message = "every given vSwitch must have an entry"
  }
  assert {
    condition = alltrue([
      for entry in alicloud_snat_entry.this : entry.snat_table_id == alicloud_nat_gateway.this.snat_table_ids && entry.snat_ip == "203.0.113.1"
    ])
    error_message = "entries must use this gateway and its address"
  }
  assert {
    condition = alltrue([
      for association in alicloud_eip_association.this : association.instance_id == alicloud_nat_gateway.this.id
    ]) && length(alicloud_eip_association.this) == 1
    error_message = "the address must be associated with the gateway"
  }
}

run "count_and_bandwidth_are_as_given" {
  variables {
    size = { eip_count = 3, bandwidth_mbps = 100 }
  }

  assert {
    condition = (
      length(alicloud_eip_address.this) == 3 && length(alicloud_eip_association.this) == 3 &&
      alltrue([for eip in alicloud_eip_address.this : eip.bandwidth == "100" && eip.internet_charge_type == "PayByTraffic"])
    )
    error_message = "there must be three addresses of 100 Mbit/s, billed by traffic"
  }
  assert {
    condition     = alltrue([for entry in alicloud_snat_entry.this : length(split(",", entry.snat_ip)) == 3])
    error_message = "every entry must use all addresses"
  }
}
