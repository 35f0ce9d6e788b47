output "spillway" {
  description = "Outputs of the platform module, for the deployment and the runbook; no secrets."
  value       = module.spillway
}

# Separate outputs: a partial apply (`-target`), as in the first deployment, prints only complete outputs.
output "registry" {
  description = "The registry: instance and addresses for push and pull."
  value       = module.spillway.registry
}

output "operators" {
  description = "vSwitch and security group for the runner and operators' machines."
  value       = module.spillway.operators
}

output "rocketmq" {
  description = "The broker, for `init`."
  value       = module.spillway.rocketmq
}

output "secret_names" {
  description = "Names of the encrypted parameters."
  value       = module.spillway.secret_names
}
