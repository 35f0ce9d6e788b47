output "spillway" {
  description = "What the deployment, the runbook and people need; no secrets. See the platform's outputs."
  value       = module.spillway
}

# By themselves: an apply of a part, as the first ones are, tells only what is whole.
output "registry" {
  description = "What a push needs: the instance, the addresses to push to and pull from, and the command that opens it."
  value       = module.spillway.registry
}

output "operators" {
  description = "Where runner and operators' machines are put."
  value       = module.spillway.operators
}

output "rocketmq" {
  description = "The broker, as `init` reaches it."
  value       = module.spillway.rocketmq
}

output "secret_names" {
  description = "Names of the secrets in KMS."
  value       = module.spillway.secret_names
}
