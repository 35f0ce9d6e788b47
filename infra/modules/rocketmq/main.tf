locals {
  # Names, and what the consumer groups take: `drain` orders, `dead_letters` the dead letter topic. Two topics in one group would
  # share its offsets.
  topics = { orders = "orders", dead_letters = "drain-dead-letters" }
  groups = { drain = "drain", dead_letters = "drain-dead-letters" }

  commodity_codes = {
    serverless  = "ons_rmqsrvlesspost_public_cn"
    cluster_ha  = "ons_rmqpost_public_cn"
    single_node = "ons_rmqpost_public_cn"
  }

  endpoints = try(alicloud_rocketmq_instance.this.network_info[0].endpoints, [])
}

resource "alicloud_rocketmq_instance" "this" {
  instance_name     = var.name
  service_code      = "rmq"
  series_code       = var.size.series
  sub_series_code   = var.size.sub_series
  commodity_code    = local.commodity_codes[var.size.sub_series]
  payment_type      = "PayAsYouGo"
  ip_whitelists     = length(var.client_cidrs) > 0 ? var.client_cidrs : null
  remark            = "orders between gateway and database"
  resource_group_id = var.resource_group_id
  tags              = var.tags

  product_info {
    msg_process_spec = var.size.spec
    # Sends: the maximum, because a sale is mostly sends.
    send_receive_ratio     = 0.5
    message_retention_time = var.size.retention_h
    # May exceed its class for a while, at extra cost. Serverless instances scale by themselves.
    auto_scaling       = true
    storage_encryption = var.size.storage_key_id != null
    storage_secret_key = var.size.storage_key_id
    # Off: a trace copies the message's key and is billed. `traceparent` in the message identifies its path.
    trace_on = false
  }

  network_info {
    vpc_info {
      vpc_id             = var.vpc_id
      security_group_ids = var.security_group_id

      dynamic "vswitches" {
        for_each = var.vswitch_ids
        content {
          vswitch_id = vswitches.value
        }
      }
    }

    internet_info {
      internet_spec = "disable"
      flow_out_type = "uninvolved"
    }
  }

  acl_info {
    acl_types = var.acl_types
    # If true, every client in the VPC has all rights without an account.
    default_vpc_auth_free = false
  }

  # The provider changes the class by replacing the instance, which loses waiting orders and the groups' offsets and
  # changes the address. So change the class in the console; this value counts for the first apply only.
  lifecycle {
    ignore_changes = [product_info[0].msg_process_spec]
  }
}

resource "alicloud_rocketmq_topic" "this" {
  for_each = local.topics

  instance_id  = alicloud_rocketmq_instance.this.id
  topic_name   = each.value
  message_type = "NORMAL"
}

resource "alicloud_rocketmq_consumer_group" "drain" {
  instance_id         = alicloud_rocketmq_instance.this.id
  consumer_group_id   = local.groups.drain
  delivery_order_type = "Concurrently"
  max_receive_tps     = var.drain_receive_tps_max
  remark              = "consumes orders"

  consume_retry_policy {
    retry_policy = "DefaultRetryPolicy"
    # Then the message goes to the dead letter topic.
    max_retry_times          = 16
    dead_letter_target_topic = alicloud_rocketmq_topic.this["dead_letters"].topic_name
  }
}

resource "alicloud_rocketmq_consumer_group" "dead_letters" {
  instance_id         = alicloud_rocketmq_instance.this.id
  consumer_group_id   = local.groups.dead_letters
  delivery_order_type = "Concurrently"
  remark              = "stores the broker's dead letters in the database"

  consume_retry_policy {
    retry_policy = "DefaultRetryPolicy"
    # The broker deletes a message after the last one. The provider's bound; the service's is unknown.
    max_retry_times = 1000
  }
}
