locals {
  subnets  = { for subnet in var.subnets : subnet.zone => subnet }
  vpc_cidr = "10.0.0.0/16"
  # Broker and database, in the security groups' rules.
  data_cidr = "10.0.2.0/24"
}

resource "alicloud_vpc" "this" {
  vpc_name          = var.name
  cidr_block        = local.vpc_cidr
  resource_group_id = var.resource_group_id
  tags              = var.tags
}

resource "alicloud_vswitch" "function" {
  for_each = local.subnets

  vpc_id       = alicloud_vpc.this.id
  zone_id      = each.key
  cidr_block   = each.value.function_cidr
  vswitch_name = "${var.name}-function-${each.key}"
  tags         = var.tags
}

resource "alicloud_vswitch" "worker" {
  for_each = local.subnets

  vpc_id       = alicloud_vpc.this.id
  zone_id      = each.key
  cidr_block   = each.value.worker_cidr
  vswitch_name = "${var.name}-worker-${each.key}"
  tags         = var.tags
}

resource "alicloud_vswitch" "data" {
  for_each = local.subnets

  vpc_id       = alicloud_vpc.this.id
  zone_id      = each.key
  cidr_block   = each.value.data_cidr
  vswitch_name = "${var.name}-data-${each.key}"
  tags         = var.tags
}

# For the deployment's runner and operators' machines. One zone is enough: a sale does not depend on it.
resource "alicloud_vswitch" "operator" {
  vpc_id       = alicloud_vpc.this.id
  zone_id      = var.subnets[0].zone
  cidr_block   = var.operator_cidr
  vswitch_name = "${var.name}-operator"
  tags         = var.tags
}

# Records all connections, including rejected ones, to diagnose unreachable services.
resource "alicloud_vpc_flow_log" "this" {
  flow_log_name        = var.name
  resource_type        = "VPC"
  resource_id          = alicloud_vpc.this.id
  traffic_type         = "All"
  project_name         = var.flow_log.project
  log_store_name       = var.flow_log.logstore
  aggregation_interval = "10"
  status               = "Active"
  resource_group_id    = var.resource_group_id
  tags                 = var.tags
}
