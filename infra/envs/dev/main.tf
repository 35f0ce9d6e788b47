terraform {
  required_version = ">= 1.9"

  required_providers {
    alicloud = {
      source  = "aliyun/alicloud"
      version = "= 1.289.0"
    }
  }

  # Bucket, key and lock: see infra/bootstrap. Set by -backend-config, so that this folder names no account's bucket.
  backend "oss" {}
}

provider "alicloud" {
  region = var.region
}

data "alicloud_account" "current" {}

# The cheapest working environment: all parts of a sale in the smallest size, billed by use where possible.
module "spillway" {
  source = "../../modules/platform"

  name                = var.name
  region              = var.region
  account_id          = data.alicloud_account.current.id
  tags                = { system = "spillway", environment = "dev" }
  images              = { ingest_fn = var.ingest_image, drain_worker = var.worker_image }
  secrets             = var.secrets
  contacts            = var.contacts
  github              = var.github
  operator_peer_cidrs = var.operator_peer_cidrs
  deletion_protection = var.deletion_protection

  subnets = [
    { zone = "${var.region}-${var.zones[0]}", function_cidr = "10.0.0.0/24", worker_cidr = "10.0.3.0/24", data_cidr = "10.0.2.0/25" },
    { zone = "${var.region}-${var.zones[1]}", function_cidr = "10.0.1.0/24", worker_cidr = "10.0.4.0/24", data_cidr = "10.0.2.128/25" },
  ]

  sale_windows = var.sale_windows
  function     = { cpu = 0.1, memory_mb = 128, reserved_concurrency = 5 }
  worker       = { replicas = 2, cpu_millicores = 500, memory_mb = 1024, initial_rate = 200, receive_tps_max = var.drain_receive_tps_max }
  broker       = { spec = var.broker_spec, retention_h = 24 }
  # A standby node costs as much as the primary; two nodes are the minimum for a failover.
  database = { node_class = "polar.mysql.g2.medium", backup_days = 7 }
  # The gateway's shared instance; tokens as in production unless jwk is null.
  gateway = {
    jwk                = var.jwk
    anonymous          = var.jwk == null
    orders_per_second  = 100
    lookups_per_second = 100
    log                = var.gateway_log
  }
  nat                = { bandwidth_mbps = 5 }
  registry           = { instance_type = "Economy", tags_kept = 10, push_cidrs = var.push_cidrs }
  log_retention_days = 7
  audit_trail        = false
}
