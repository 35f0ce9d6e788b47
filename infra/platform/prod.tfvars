# A sale of 50,000 orders a second, drained at 2,000: `loadtest plan --peak-rps 50000 --duration 60s --drain-rate 2000`.

name   = "spillway-prod"
region = "cn-hangzhou"
tags   = { system = "spillway", environment = "prod" }

subnets = [
  { zone = "cn-hangzhou-j", function_cidr = "10.0.0.0/24", worker_cidr = "10.0.3.0/24", data_cidr = "10.0.2.0/25" },
  { zone = "cn-hangzhou-k", function_cidr = "10.0.1.0/24", worker_cidr = "10.0.4.0/24", data_cidr = "10.0.2.128/25" },
]

# More than the plan's cheapest size, which rests on a measurement on loopback (17 µs of CPU an order) and on 20 ms to publish: being
# short costs the sale. With 55 ms, `loadtest plan … --latency-ms 55 --vcpu 1 --memory-mb 1024 --concurrency 200` warms 20 instances
# for USD 0.51 a sale, USD 0.06 above the cheapest size (list price of 2026-02; run on 2026-11-30). The fence allows 100.
function = { cpu = 1, memory_mb = 1024, concurrency = 200, reserved_concurrency = 100, warm_lead_min = 10 }
worker   = { replicas = 4, initial_rate = 2000 }
# The sale leaves a backlog of 2,880,000 orders, 480,000 messages of 6 by the same plan; the longest wait is 24 minutes.
alerts = { broker_messages = 600000, oldest_message_h = 1 }
# Half of the class is for sends: 50,000 a second, even with one order in each message.
broker   = { series = "professional", sub_series = "cluster_ha", spec = "rmq.p2.100xlarge", retention_h = 72 }
database = { node_class = "polar.mysql.x4.medium", backup_days = 14 }
gateway = {
  instance           = { spec = "api.s2.large.x6", zone_id = "cn-hangzhou-MAZ6" }
  orders_per_second  = 55000
  lookups_per_second = 2000
}
nat = { eip_count = 2, bandwidth_mbps = 100 }

log_retention_days = 90
