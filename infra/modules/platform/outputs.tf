output "vpc_id" {
  description = "Id of the VPC."
  value       = module.network.vpc_id
}

output "routes" {
  description = "The public API, whole: method, path and backend of each route."
  value       = module.gateway.routes
}

output "gateway_sub_domain" {
  description = "The gateway's own name: for trying, not for a sale."
  value       = module.gateway.sub_domain
}

output "domain_steps" {
  description = "Commands that bind the domain and its certificate, which the provider cannot."
  value       = module.gateway.domain_steps
}

output "function" {
  description = "What the deployment needs of the function: its name and its alias."
  value       = { name = module.function.function_name, alias = module.function.alias_name }
}

output "provision_actions" {
  description = "The schedule of warm instances, as the platform is told it."
  value       = module.function.provision_actions
}

output "worker_application_id" {
  description = "What the deployment needs of the workers: the application's id."
  value       = module.worker.application_id
}

output "repository_urls" {
  description = "Where images are pushed to, by service."
  value       = module.registry.repository_urls
}

output "database" {
  description = "Where `migrate`, `init` and `tune` connect: host, port, database, account names. No passwords."
  value = {
    host          = module.database.host_primary
    port          = module.database.port
    database      = module.database.database_name
    tune_database = module.database.tune_database_name
    accounts      = module.database.account_names
  }
}

output "rocketmq_endpoint" {
  description = "The broker's endpoint in the VPC, host:port."
  value       = module.rocketmq.endpoint
}

output "ways_out" {
  description = "vSwitches with a way to the internet."
  value       = module.nat.snat_vswitch_ids
}

output "function_vswitch_ids" {
  description = "vSwitches that the function sits in, by zone."
  value       = module.network.function_vswitch_ids
}

output "role_arns" {
  description = "Roles of function, worker, gateway and deployer."
  value       = module.ram.role_arns
}

output "secret_names" {
  description = "Names of the secrets in KMS."
  value       = module.secrets.secret_names
}

output "alert_names" {
  description = "Alerts; infra/README.md says what to do about each."
  value       = module.observability.alert_names
}

output "logs" {
  description = "Log Service project and logstores."
  value       = { project = module.observability.project, logstores = module.observability.logstores }
}
