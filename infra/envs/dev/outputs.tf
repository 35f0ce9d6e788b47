output "spillway" {
  description = "What the deployment, the runbook and people need; no secrets. See the platform's outputs."
  value       = module.spillway
}

# By itself: after the first step, an apply of the registry alone, there is no other.
output "registry" {
  description = "What the first push needs: the instance, the address to push to, who may, and the command that opens it to them."
  value       = module.spillway.registry
}
