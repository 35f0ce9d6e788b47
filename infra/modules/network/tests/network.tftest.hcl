mock_provider "alicloud" {}

variables {
  resource_group_id = "rg-1"
  name              = "spillway-test"
  subnets = [
    { zone = "cn-hangzhou-j", function_cidr = "10.0.0.0/24", worker_cidr = "10.0.3.0/24", data_cidr = "10.0.2.0/25" },
    { zone = "cn-hangzhou-k", function_cidr = "10.0.1.0/24", worker_cidr = "10.0.4.0/24", data_cidr = "10.0.2.128/25" },
  ]
  flow_log = { project = "spillway-test", logstore = "flow" }
}

run "function_workers_and_data_have_vswitches_in_two_zones" {
  assert {
    condition = alltrue([
      for vswitches in [alicloud_vswitch.function, alicloud_vswitch.worker, alicloud_vswitch.data] :
      toset(keys(vswitches)) == toset(["cn-hangzhou-j", "cn-hangzhou-k"]) && alltrue([for zone, vswitch in vswitches : vswitch.zone_id == zone])
    ])
    error_message = "function, workers and data must be in two zones"
  }
}

run "the_flow_log_records_all_vpc_traffic" {
  assert {
    condition = (
      alicloud_vpc_flow_log.this.resource_id == alicloud_vpc.this.id && alicloud_vpc_flow_log.this.traffic_type == "All" &&
      alicloud_vpc_flow_log.this.status == "Active" && alicloud_vpc_flow_log.this.log_store_name == "flow"
    )
    error_message = "the flow log must record all traffic of the VPC"
  }
}

# The article's first failure: thousands of instances, each with a connection to the database.
run "connection_bomb" {
  assert {
    condition = length([
      for rule in alicloud_security_group_rule.this : rule
      if rule.security_group_id == alicloud_security_group.this["function"].id && rule.policy == "accept" && (
        rule.port_range == "3306/3306" || rule.port_range == "-1/-1" || rule.port_range == "1/65535" || rule.ip_protocol == "all"
      )
    ]) == 0
    error_message = "no rule may allow the function to reach the database"
  }
  assert {
    condition = alltrue([
      for rule in alicloud_security_group_rule.this : contains(["10.0.3.0/24", "10.0.4.0/24", "10.0.5.0/24"], rule.cidr_ip)
      if rule.type == "ingress" && rule.port_range == "3306/3306"
    ])
    error_message = "only the workers' and operators' ranges may reach the database"
  }
}

run "the_rules_are_exactly_these" {
  assert {
    condition = output.reach == tolist([
      "data-ingress-broker-8080-10.0.0.0/24 tcp 8080/8080 10.0.0.0/24",
      "data-ingress-broker-8080-10.0.1.0/24 tcp 8080/8080 10.0.1.0/24",
      "data-ingress-broker-8080-10.0.3.0/24 tcp 8080/8080 10.0.3.0/24",
      "data-ingress-broker-8080-10.0.4.0/24 tcp 8080/8080 10.0.4.0/24",
      "data-ingress-broker-8080-10.0.5.0/24 tcp 8080/8080 10.0.5.0/24",
      "data-ingress-broker-8081-10.0.0.0/24 tcp 8081/8081 10.0.0.0/24",
      "data-ingress-broker-8081-10.0.1.0/24 tcp 8081/8081 10.0.1.0/24",
      "data-ingress-broker-8081-10.0.3.0/24 tcp 8081/8081 10.0.3.0/24",
      "data-ingress-broker-8081-10.0.4.0/24 tcp 8081/8081 10.0.4.0/24",
      "data-ingress-broker-8081-10.0.5.0/24 tcp 8081/8081 10.0.5.0/24",
      "data-ingress-database-10.0.3.0/24 tcp 3306/3306 10.0.3.0/24",
      "data-ingress-database-10.0.4.0/24 tcp 3306/3306 10.0.4.0/24",
      "data-ingress-database-10.0.5.0/24 tcp 3306/3306 10.0.5.0/24",
      "function-egress-broker-8080 tcp 8080/8080 10.0.2.0/24",
      "function-egress-broker-8081 tcp 8081/8081 10.0.2.0/24",
      "function-egress-dns-tcp tcp 53/53 100.64.0.0/10",
      "function-egress-dns-udp udp 53/53 100.64.0.0/10",
      "function-egress-ntp udp 123/123 100.64.0.0/10",
      "operator-egress-admin-10.0.3.0/24 tcp 9101/9101 10.0.3.0/24",
      "operator-egress-admin-10.0.4.0/24 tcp 9101/9101 10.0.4.0/24",
      "operator-egress-broker-8080 tcp 8080/8080 10.0.2.0/24",
      "operator-egress-broker-8081 tcp 8081/8081 10.0.2.0/24",
      "operator-egress-database tcp 3306/3306 10.0.2.0/24",
      "operator-egress-dns-tcp tcp 53/53 100.64.0.0/10",
      "operator-egress-dns-udp udp 53/53 100.64.0.0/10",
      "operator-egress-https tcp 443/443 0.0.0.0/0",
      "operator-egress-ntp udp 123/123 100.64.0.0/10",
      "operator-egress-platform-443 tcp 443/443 100.64.0.0/10",
      "operator-egress-platform-80 tcp 80/80 100.64.0.0/10",
      "operator-egress-registry-10.0.3.0/24 tcp 443/443 10.0.3.0/24",
      "operator-egress-registry-10.0.4.0/24 tcp 443/443 10.0.4.0/24",
      "worker-egress-broker-8080 tcp 8080/8080 10.0.2.0/24",
      "worker-egress-broker-8081 tcp 8081/8081 10.0.2.0/24",
      "worker-egress-database tcp 3306/3306 10.0.2.0/24",
      "worker-egress-dns-tcp tcp 53/53 100.64.0.0/10",
      "worker-egress-dns-udp udp 53/53 100.64.0.0/10",
      "worker-egress-ntp udp 123/123 100.64.0.0/10",
      "worker-egress-platform-443 tcp 443/443 100.64.0.0/10",
      "worker-egress-platform-80 tcp 80/80 100.64.0.0/10",
      "worker-egress-registry-10.0.3.0/24 tcp 443/443 10.0.3.0/24",
      "worker-egress-registry-10.0.4.0/24 tcp 443/443 10.0.4.0/24",
      "worker-ingress-look-ups-10.0.3.0/24 tcp 9100/9100 10.0.3.0/24",
      "worker-ingress-look-ups-10.0.4.0/24 tcp 9100/9100 10.0.4.0/24",
      "worker-ingress-operators-10.0.5.0/24 tcp 9101/9101 10.0.5.0/24",
    ])
    error_message = "a rule was added or removed: ${jsonencode(output.reach)}"
  }
}

run "no_ingress_from_a_range_wider_than_a_slash_8" {
  variables {
    operator_peer_cidrs = ["10.9.0.0/24"]
    webhook_cidrs       = ["0.0.0.0/0"]
  }

  assert {
    condition = alltrue([
      for rule in alicloud_security_group_rule.this : tonumber(split("/", rule.cidr_ip)[1]) >= 8 && rule.policy == "accept"
      if rule.type == "ingress"
    ])
    error_message = "no ingress may be from a range wider than a /8"
  }
  assert {
    condition     = alltrue([for group in alicloud_security_group.this : group.inner_access_policy == "Drop"])
    error_message = "members of a group must not reach each other"
  }
  assert {
    condition = toset([
      for rule in alicloud_security_group_rule.this : rule.cidr_ip if rule.port_range == "9101/9101" && rule.type == "ingress"
    ]) == toset(["10.0.5.0/24", "10.9.0.0/24"])
    error_message = "only operators may reach the admin port"
  }
  assert {
    condition = toset([
      for rule in alicloud_security_group_rule.this : "${rule.description} ${rule.port_range}" if rule.cidr_ip == "10.9.0.0/24"
    ]) == toset(["worker-ingress-operators-10.9.0.0/24 9101/9101", "operator-ingress-shell-10.9.0.0/24 22/22"])
    error_message = "a joined network must reach the admin port and a shell only"
  }
}

run "all_other_egress_is_dropped" {
  assert {
    condition = alltrue([
      for who in ["function", "worker", "operator", "data"] :
      alicloud_security_group_rule.nothing_else_out[who].policy == "drop" &&
      alicloud_security_group_rule.nothing_else_out[who].cidr_ip == "0.0.0.0/0" &&
      alicloud_security_group_rule.nothing_else_out[who].ip_protocol == "all" &&
      alicloud_security_group_rule.nothing_else_out[who].priority > max([for rule in alicloud_security_group_rule.this : rule.priority]...)
    ])
    error_message = "the last rule of each group must drop all egress"
  }
  assert {
    condition = length([
      for rule in alicloud_security_group_rule.this : rule
      if rule.type == "egress" && rule.cidr_ip == "0.0.0.0/0" && rule.security_group_id != alicloud_security_group.this["operator"].id
    ]) == 0
    error_message = "only operators, and workers with webhooks, may reach the internet"
  }
}

run "only_workers_reach_webhooks_on_443" {
  variables {
    webhook_cidrs = ["0.0.0.0/0"]
  }

  assert {
    condition = [
      for rule in alicloud_security_group_rule.this : "${rule.description} ${rule.port_range}"
      if rule.type == "egress" && rule.cidr_ip == "0.0.0.0/0"
    ] == ["operator-egress-https 443/443", "worker-egress-webhooks-0.0.0.0/0 443/443"]
    error_message = "only the rules of workers and operators may allow 0.0.0.0/0"
  }
}

run "an_operator_range_equal_to_a_worker_range_is_rejected" {
  command = plan

  variables {
    operator_cidr = "10.0.3.0/24"
  }

  expect_failures = [var.operator_cidr]
}

run "bad_values_are_rejected" {
  command = plan

  variables {
    # one zone
    subnets = [{ zone = "cn-hangzhou-j", function_cidr = "10.0.0.0/24", worker_cidr = "10.0.3.0/24", data_cidr = "10.0.2.0/25" }]
    # operators from the internet
    operator_peer_cidrs = ["203.0.113.0/24"]
  }

  expect_failures = [var.subnets, var.operator_peer_cidrs]
}

run "bad_values_are_rejected_2" {
  command = plan

  variables {
    # a data range outside data cidr
    subnets = [
      { zone = "cn-hangzhou-j", function_cidr = "10.0.0.0/24", worker_cidr = "10.0.3.0/24", data_cidr = "10.0.2.0/25" },
      { zone = "cn-hangzhou-k", function_cidr = "10.0.1.0/24", worker_cidr = "10.0.4.0/24", data_cidr = "10.0.5.0/25" },
    ]
  }

  expect_failures = [var.subnets]
}

run "bad_values_are_rejected_3" {
  command = plan

  variables {
    # a worker range inside data cidr
    subnets = [
      { zone = "cn-hangzhou-j", function_cidr = "10.0.0.0/24", worker_cidr = "10.0.3.0/24", data_cidr = "10.0.2.0/25" },
      { zone = "cn-hangzhou-k", function_cidr = "10.0.1.0/24", worker_cidr = "10.0.2.64/26", data_cidr = "10.0.2.128/25" },
    ]
  }

  expect_failures = [var.subnets]
}
