output "application_id" {
  description = "Id of the application."
  value       = alicloud_sae_application.this.id
}

output "namespace_id" {
  description = "Id of its namespace, where `secrets` are made."
  value       = alicloud_sae_namespace.this.id
}

output "query_backend" {
  description = "Where the gateway finds the query port: VPC, load balancer, its port, host name."
  value = {
    vpc_id      = var.vpc_id
    instance_id = alicloud_alb_load_balancer.query.id
    port        = local.listener_port
    host        = var.query_host
  }
}

output "connections_max" {
  description = "Most connections to the database that all workers open, one for an operator's command each included."
  value       = var.replicas_max * local.connections_per_worker
}

output "deletion_protected" {
  description = "Whether deleting the look-ups' load balancer is refused."
  value       = alicloud_alb_load_balancer.query.deletion_protection_config[0].enabled
}

output "replicas_max" {
  description = "Most workers that the scaling rule makes; as many as there always are where there is none."
  value       = length(alicloud_sae_application_scaling_rule.lag) > 0 ? one(alicloud_sae_application_scaling_rule.lag[0].scaling_rule_metric).max_replicas : alicloud_sae_application.this.replicas
}
