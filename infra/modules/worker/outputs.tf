output "application_id" {
  description = "Id of the application."
  value       = alicloud_sae_application.this.id
}

output "query_backend" {
  description = "Backend of lookups for the gateway: VPC, load balancer, port, host name."
  value = {
    vpc_id      = var.vpc_id
    instance_id = alicloud_alb_load_balancer.query.id
    port        = local.listener_port
    host        = local.query_host
  }
}

output "connections_max" {
  description = "Maximum database connections of all workers, including one for an operator's command each."
  value       = var.size.replicas * local.connections_per_worker
}

output "deletion_protected" {
  description = "True if the service rejects deletion of the load balancer."
  value       = alicloud_alb_load_balancer.query.deletion_protection_config[0].enabled
}

output "replicas" {
  description = "Number of workers."
  value       = alicloud_sae_application.this.replicas
}
