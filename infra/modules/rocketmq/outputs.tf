output "instance_id" {
  description = "Id of the instance."
  value       = alicloud_rocketmq_instance.this.id
}

output "endpoint" {
  description = "Endpoint in the VPC, host:port, for `SPILLWAY_ROCKETMQ_ENDPOINT`; null until the instance reports an endpoint of the type TCP_VPC."
  value       = try(one([for endpoint in local.endpoints : endpoint.endpoint_url if endpoint.endpoint_type == "TCP_VPC"]), null)
}

output "topic_names" {
  description = "Topics by their use: orders, dead_letters."
  value       = { for use, topic in alicloud_rocketmq_topic.this : use => topic.topic_name }
}

output "group_names" {
  description = "Consumer groups by their use: drain, dead_letters."
  value = {
    drain        = alicloud_rocketmq_consumer_group.drain.consumer_group_id
    dead_letters = alicloud_rocketmq_consumer_group.dead_letters.consumer_group_id
  }
}

output "account_names" {
  description = "User names, for `SPILLWAY_ROCKETMQ_ACCESS_KEY`: `worker`, and `function-…` for each account of the function."
  value       = local.accounts
}

output "drain_receive_tps_max" {
  description = "Maximum messages a second that the broker delivers to the group `drain`."
  value       = alicloud_rocketmq_consumer_group.drain.max_receive_tps
}

output "retention_h" {
  description = "Retention of messages, hours, for `SPILLWAY_BROKER_RETENTION_H`."
  value       = var.size.retention_h
}

output "client_cidrs" {
  description = "Address ranges that may reach the endpoint, read from the instance."
  value       = alicloud_rocketmq_instance.this.ip_whitelists
}
