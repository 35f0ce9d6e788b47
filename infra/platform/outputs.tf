output "vpc_id" {
  description = "Id of the VPC."
  value       = module.network.vpc_id
}

output "routes" {
  description = "All public routes: method, path and backend; null without `workers`."
  value       = one(module.gateway[*].routes)
}

output "gateway_sub_domain" {
  description = "Default domain of the gateway: for tests, not for a sale."
  value       = one(module.gateway[*].sub_domain)
}

output "gateway_group" {
  description = "Id of the API group, for `infra/deploy/domain` (`SPILLWAY_GATEWAY_GROUP`); null without `workers`."
  value       = one(module.gateway[*].group_id)
}

output "domain" {
  description = "Domain of the API; null without one."
  value       = try(var.domain.name, null)
}

output "api_url" {
  description = "Address of the API (`SPILLWAY_SMOKE_URL`); null before the gateway is there."
  value       = var.domain != null ? "https://${var.domain.name}" : one([for host in module.gateway[*].sub_domain : "https://${host}"])
}

output "function" {
  description = "Name and alias of the function, for the deployment."
  value       = { name = module.function.function_name, alias = module.function.alias_name }
}

output "provision_actions" {
  description = "Scheduled actions for warm instances."
  value       = module.function.provision_actions
}

output "worker_application_id" {
  description = "Id of the workers' application, for the deployment; null without `workers`."
  value       = one(module.worker[*].application_id)
}

output "database" {
  description = "Database for `migrate`, `init` and `tune`: host, port, databases, account names. No passwords."
  value = {
    cluster_id    = module.database.cluster_id
    host          = module.database.host_primary
    port          = module.database.port
    database      = module.database.database_name
    tune_database = module.database.tune_database_name
    accounts      = module.database.account_names
  }
}

output "rocketmq" {
  description = "The broker, for `init`: endpoint in the VPC (host:port), the workers' account (`SPILLWAY_ROCKETMQ_ACCESS_KEY`), topic, group, and the broker's receive limit in messages a second."
  value = {
    endpoint              = module.rocketmq.endpoint
    worker_account        = module.rocketmq.account_names.worker
    orders_topic          = module.rocketmq.topic_names.orders
    drain_group           = module.rocketmq.group_names.drain
    drain_receive_tps_max = module.rocketmq.drain_receive_tps_max
  }
}

output "operators" {
  description = "vSwitch and security group for the deployment's runner and operators' machines."
  value = {
    vswitch_id        = module.network.operator_vswitch_id
    security_group_id = module.network.security_group_ids.operator
  }
}

output "nat_addresses" {
  description = "Public source addresses of functions, workers and operators, for third parties' allow lists."
  value       = module.nat.eip_addresses
}

output "ways_out" {
  description = "vSwitches with an SNAT entry."
  value       = module.nat.snat_vswitch_ids
}

output "function_vswitch_ids" {
  description = "vSwitches of the function, by zone."
  value       = module.network.function_vswitch_ids
}

output "secret_names" {
  description = "Names of the encrypted parameters."
  value       = module.secrets.secret_names
}

output "protected" {
  description = "Resources protected against deletion; `deletion_protection` sets all of them."
  value = {
    addresses     = module.nat.deletion_protected
    database      = module.database.deletion_protected
    load_balancer = one(module.worker[*].deletion_protected)
  }
}

output "alert_names" {
  description = "Names of alerts and alarms; infra/README.md has a runbook row for each."
  value       = module.observability.alert_names
}

output "logs" {
  description = "Log Service project and logstores."
  value       = { project = module.observability.project, logstores = module.observability.logstores }
}

output "runner" {
  description = "The deployment's runner; null without `runner`."
  value       = one(module.runner[*].instance_id)
}
