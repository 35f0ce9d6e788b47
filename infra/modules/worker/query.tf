# Path of lookups: gateway, internal load balancer, query port. No path leads to the admin port.
locals {
  listener_port = 80
  # Of lookups at the load balancer; in no DNS.
  query_host = "query.spillway.internal"
}

resource "alicloud_alb_load_balancer" "query" {
  load_balancer_name    = "${var.name}-query"
  load_balancer_edition = var.load_balancer_edition
  # The gateway's VPC access uses this load balancer and fails if it becomes public (certain).
  address_type           = "Intranet"
  address_allocated_mode = "Fixed"
  vpc_id                 = var.vpc_id

  load_balancer_billing_config {
    pay_type = "PayAsYouGo"
  }

  dynamic "zone_mappings" {
    for_each = var.vswitch_ids
    content {
      zone_id    = zone_mappings.key
      vswitch_id = zone_mappings.value
    }
  }

  deletion_protection_config {
    enabled = var.deletion_protection
  }

  resource_group_id = var.resource_group_id
  tags              = var.tags
}

# The platform updates the load balancer's servers with the replicas.
resource "alicloud_sae_ingress" "query" {
  namespace_id      = alicloud_sae_namespace.this.id
  slb_id            = alicloud_alb_load_balancer.query.id
  load_balance_type = "alb"
  listener_port     = local.listener_port
  listener_protocol = "HTTP"
  description       = "${var.name}-query"

  rules {
    app_id           = alicloud_sae_application.this.id
    app_name         = alicloud_sae_application.this.app_name
    container_port   = local.query_port
    domain           = local.query_host
    path             = "/"
    backend_protocol = "http"
  }

  # Required by the API. It leads to the same port, so that no host name reaches another port.
  default_rule {
    app_id         = alicloud_sae_application.this.id
    container_port = local.query_port
  }
}
