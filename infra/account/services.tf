# Reading one of these switches its service on, so already in `terraform plan` (certain: the provider's source). The other
# services have no such switch: their first resource does it, or a person's click. CloudMonitor's is deprecated, and Container
# Registry's is that of the personal edition.

locals {
  activated = {
    api_gateway  = one(data.alicloud_api_gateway_service.this[*].status)
    fc           = one(data.alicloud_fc_service.this[*].status)
    kms          = one(data.alicloud_kms_service.this[*].status)
    log          = one(data.alicloud_log_service.this[*].status)
    ons          = one(data.alicloud_ons_service.this[*].status)
    oss          = one(data.alicloud_oss_service.this[*].status)
    ots          = one(data.alicloud_ots_service.this[*].status)
    pvtz         = one(data.alicloud_pvtz_service.this[*].status)
    sae          = one(data.alicloud_sae_service.this[*].status)
    vpc_flow_log = one(data.alicloud_vpc_flow_log_service.this[*].status)
  }
}

data "alicloud_api_gateway_service" "this" {
  count  = var.activate ? 1 : 0
  enable = "On"
}

data "alicloud_fc_service" "this" {
  count  = var.activate ? 1 : 0
  enable = "On"
}

data "alicloud_kms_service" "this" {
  count  = var.activate ? 1 : 0
  enable = "On"
}

data "alicloud_log_service" "this" {
  count  = var.activate ? 1 : 0
  enable = "On"
}

data "alicloud_ons_service" "this" {
  count  = var.activate ? 1 : 0
  enable = "On"
}

data "alicloud_oss_service" "this" {
  count  = var.activate ? 1 : 0
  enable = "On"
}

data "alicloud_ots_service" "this" {
  count  = var.activate ? 1 : 0
  enable = "On"
}

data "alicloud_pvtz_service" "this" {
  count  = var.activate ? 1 : 0
  enable = "On"
}

data "alicloud_sae_service" "this" {
  count  = var.activate ? 1 : 0
  enable = "On"
}

data "alicloud_vpc_flow_log_service" "this" {
  count  = var.activate ? 1 : 0
  enable = "On"
}
