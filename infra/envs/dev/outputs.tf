output "spillway" {
  description = "What the deployment, the runbook and people need; no secrets. See the platform's outputs."
  value       = module.spillway
}
