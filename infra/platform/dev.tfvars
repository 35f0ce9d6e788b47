# The cheapest working environment: all parts of a sale in the smallest size, billed by use where possible.

name   = "spillway-dev"
region = "cn-hangzhou"
tags   = { system = "spillway", environment = "dev" }

subnets = [
  { zone = "cn-hangzhou-j", function_cidr = "10.0.0.0/24", worker_cidr = "10.0.3.0/24", data_cidr = "10.0.2.0/25" },
  { zone = "cn-hangzhou-k", function_cidr = "10.0.1.0/24", worker_cidr = "10.0.4.0/24", data_cidr = "10.0.2.128/25" },
]

function = { cpu = 0.1, memory_mb = 128, reserved_concurrency = 5 }
worker   = { replicas = 2, cpu_millicores = 500, memory_mb = 1024, initial_rate = 200 }
# The names of the serverless classes are unknown here: look up the smallest.
broker = { spec = "rmq.s2.2xlarge", retention_h = 24 }
# A standby node costs as much as the primary; two nodes are the minimum for a failover.
database = { node_class = "polar.mysql.g2.medium", backup_days = 7 }
# The gateway's shared instance. With `anonymous`, `jwk` may be null: then any client orders in any buyer's name.
gateway = { orders_per_second = 100, lookups_per_second = 100 }
nat     = { bandwidth_mbps = 5 }

log_retention_days  = 7
deletion_protection = false
