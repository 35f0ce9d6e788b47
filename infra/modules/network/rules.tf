# Allowed connections. All others are rejected: ingress by default, egress by the last rule of each group, because a
# basic group allows egress by default (likely).

locals {
  # Of the database; of the broker's endpoint: that the managed service listens on 8080 is likely, 8081 is Apache's for gRPC; of the
  # workers' lookups; of their console, control API and metrics.
  database_port  = 3306
  rocketmq_ports = [8080, 8081]
  query_port     = 9100
  admin_port     = 9101
  # The platform's DNS, NTP, mirrors, logs and image layers in a VPC (likely: 100.100.2.136 and 100.100.2.138 are the name servers).
  service_cidr = "100.64.0.0/10"

  function_ranges = values(local.subnets)[*].function_cidr
  worker_ranges   = values(local.subnets)[*].worker_cidr
  operator_ranges = [var.operator_cidr]

  # DNS and NTP of the platform.
  services = {
    dns-udp = { protocol = "udp", port = 53, range = local.service_cidr }
    dns-tcp = { protocol = "tcp", port = 53, range = local.service_cidr }
    ntp     = { protocol = "udp", port = 123, range = local.service_cidr }
  }
  broker   = { for port in local.rocketmq_ports : "broker-${port}" => { protocol = "tcp", port = port, range = local.data_cidr } }
  database = { database = { protocol = "tcp", port = local.database_port, range = local.data_cidr } }

  # Images are pulled through the application's own network (likely: the vendor's page on images of SAE requires access
  # from its VPC): from the registry's endpoint in the workers' ranges, and layers from the platform's storage. The
  # platform's mirrors and logs are in the same range.
  pulls = merge(
    { for range in local.worker_ranges : "registry-${range}" => { protocol = "tcp", port = 443, range = range } },
    { for port in [80, 443] : "platform-${port}" => { protocol = "tcp", port = port, range = local.service_cidr } },
  )

  egress = {
    # To publish only. There must never be a rule to the database.
    function = merge(local.services, local.broker)
    worker = merge(local.services, local.broker, local.database, local.pulls,
      { for range in var.webhook_cidrs : "webhooks-${range}" => { protocol = "tcp", port = 443, range = range } },
    )
    # `migrate` and `init` need broker and database; status and rate need the workers' admin port; repository, registry and
    # the platform's API need port 443 anywhere.
    operator = merge(local.services, local.broker, local.database, local.pulls,
      { for range in local.worker_ranges : "admin-${range}" => { protocol = "tcp", port = local.admin_port, range = range } },
      { https = { protocol = "tcp", port = 443, range = "0.0.0.0/0" } },
    )
    data = {}
  }

  ingress = {
    # The platform calls a function outside the VPC.
    function = {}
    worker = merge(
      # The load balancer of lookups is in the workers' ranges.
      { for range in local.worker_ranges : "look-ups-${range}" => { protocol = "tcp", port = local.query_port, range = range } },
      { for range in concat(local.operator_ranges, var.operator_peer_cidrs) :
      "operators-${range}" => { protocol = "tcp", port = local.admin_port, range = range } },
    )
    # From a network that is joined; otherwise by the platform's own ways (Session Manager), which need no rule.
    operator = { for range in var.operator_peer_cidrs : "shell-${range}" => { protocol = "tcp", port = 22, range = range } }
    data = merge(
      { for range in concat(local.worker_ranges, local.operator_ranges) :
      "database-${range}" => { protocol = "tcp", port = local.database_port, range = range } },
      { for pair in setproduct(local.rocketmq_ports, concat(local.function_ranges, local.worker_ranges, local.operator_ranges)) :
      "broker-${pair[0]}-${pair[1]}" => { protocol = "tcp", port = pair[0], range = pair[1] } },
    )
  }

  groups = toset(["worker", "data", "function", "operator"])
  rules = merge(
    [for direction, by_group in { egress = local.egress, ingress = local.ingress } : merge([
      for group, rules in by_group : {
        for name, rule in rules : "${group}-${direction}-${name}" => merge(rule, { group = group, direction = direction })
      }
    ]...)]...
  )
}

resource "alicloud_security_group" "this" {
  for_each = local.groups

  vpc_id              = alicloud_vpc.this.id
  security_group_name = "${var.name}-${each.key}"
  security_group_type = "normal"
  # Members reach each other only by a rule.
  inner_access_policy = "Drop"
  resource_group_id   = var.resource_group_id
  tags                = var.tags
}

resource "alicloud_security_group_rule" "this" {
  for_each = local.rules

  security_group_id = alicloud_security_group.this[each.value.group].id
  type              = each.value.direction
  ip_protocol       = each.value.protocol
  port_range        = "${each.value.port}/${each.value.port}"
  cidr_ip           = each.value.range
  policy            = "accept"
  priority          = 10
  description       = each.key
}

# Lowest priority, after all allowed connections.
resource "alicloud_security_group_rule" "nothing_else_out" {
  for_each = local.groups

  security_group_id = alicloud_security_group.this[each.key].id
  type              = "egress"
  ip_protocol       = "all"
  port_range        = "-1/-1"
  cidr_ip           = "0.0.0.0/0"
  policy            = "drop"
  priority          = 100
  description       = "nothing else"
}
