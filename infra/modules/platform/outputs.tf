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

output "rocketmq" {
  description = "The broker, as `init` reaches it: endpoint in the VPC (host:port), the workers' account (`SPILLWAY_ROCKETMQ_ACCESS_KEY`), topic, group, and the fence in messages a second."
  value = {
    endpoint              = module.rocketmq.endpoint
    worker_account        = module.rocketmq.account_names.worker
    orders_topic          = module.rocketmq.topic_names.orders
    drain_group           = module.rocketmq.group_names.drain
    drain_receive_tps_max = module.rocketmq.drain_receive_tps_max
  }
}

output "registry" {
  description = "What a push needs: the instance, host and namespace to push to (`SPILLWAY_REGISTRY`) and to pull from within the VPC (`SPILLWAY_REGISTRY_PULL`), and the command that opens it. Told once the instance is there."
  value = {
    instance_id  = module.registry.instance_id
    address      = module.registry.address
    pull_address = module.registry.pull_address
    push_steps   = module.registry.push_steps
  }
}

output "registry_clients" {
  description = "Who reaches the registry from the internet, by name."
  value       = module.registry.push_cidrs
}

output "operators" {
  description = "Where the deployment's runner and operators' machines are put: vSwitch and security group."
  value = {
    vswitch_id        = module.network.operator_vswitch_id
    security_group_id = module.network.security_group_ids.operator
  }
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
  description = "Roles of function, worker, gateway, and of the pipeline's jobs (`ALIBABA_ROLE_ARN`)."
  value       = module.ram.role_arns
}

output "oidc_provider_arn" {
  description = "Whom the pipeline's jobs are vouched for by (`ALIBABA_OIDC_PROVIDER_ARN`); null without `github`."
  value       = module.ram.oidc_provider_arn
}

output "secret_names" {
  description = "Names of the secrets in KMS."
  value       = module.secrets.secret_names
}

output "secret_versions" {
  description = "Which version of each the environment has; says nothing of the value."
  value       = module.secrets.secret_versions
}

output "protected" {
  description = "What refuses to be deleted: `deletion_protection` is all of them."
  value = {
    addresses     = module.nat.deletion_protected
    database      = module.database.deletion_protected
    key           = module.secrets.deletion_protected
    load_balancer = module.worker.deletion_protected
  }
}

output "alert_names" {
  description = "Alerts; infra/README.md says what to do about each."
  value       = module.observability.alert_names
}

output "logs" {
  description = "Log Service project and logstores."
  value       = { project = module.observability.project, logstores = module.observability.logstores }
}
