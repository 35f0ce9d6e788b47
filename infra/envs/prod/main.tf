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

# A sale of 50,000 orders a second, drained at 2,000: `loadtest plan --peak-rps 50000 --duration 60s --drain-rate 2000`.
module "spillway" {
  source = "../../modules/platform"

  name                = var.name
  region              = var.region
  account_id          = data.alicloud_account.current.id
  tags                = { system = "spillway", environment = "prod" }
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
  time_zone    = var.time_zone

  # The plan's cheapest size and its 15 instances at the peak; reserved_concurrency allows twice as many.
  function = { cpu = 0.1, memory_mb = 128, reserved_concurrency = 30, warm_lead_min = 10 }
  # The sale leaves a backlog of 3,000,000 orders, about 390,000 messages; the longest wait is 25 minutes.
  alerts = { broker_messages = 500000, oldest_message_h = 1 }
  worker = { replicas = 4, initial_rate = 2000, receive_tps_max = var.drain_receive_tps_max }
  # Half of the class is for sends: 50,000 a second, even with one order in each message.
  broker   = { series = "professional", sub_series = "cluster_ha", spec = "rmq.p2.100xlarge", retention_h = 72 }
  database = { node_class = "polar.mysql.x4.medium", backup_days = 14 }
  gateway = {
    instance           = { spec = "api.s2.large.x6", zone_id = var.gateway_zone_id }
    jwk                = var.jwk
    orders_per_second  = 55000
    lookups_per_second = 2000
    domain             = var.domain
  }
  registry           = { push_cidrs = var.push_cidrs }
  nat                = { eip_count = 2, bandwidth_mbps = 100 }
  log_retention_days = 90
}
