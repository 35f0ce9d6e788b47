mock_provider "alicloud" {}

variables {
  name = "spillway-test"
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

run "operators_have_their_own_vswitch_and_group" {
  assert {
    condition     = one(alicloud_vswitch.operator).cidr_block == "10.0.5.0/24" && output.operator_vswitch_id == one(alicloud_vswitch.operator).id && output.security_group_ids.operator != null
    error_message = "operators must have a vSwitch and a group"
  }
}

run "the_flow_log_records_all_vpc_traffic" {
  assert {
    condition = (
      one(alicloud_vpc_flow_log.this).resource_id == alicloud_vpc.this.id && one(alicloud_vpc_flow_log.this).traffic_type == "All" &&
      one(alicloud_vpc_flow_log.this).status == "Active" && one(alicloud_vpc_flow_log.this).log_store_name == "flow"
    )
    error_message = "the flow log must record all traffic of the VPC"
  }
}

run "a_function_outside_the_vpc_has_no_vswitch_and_no_group" {
  variables {
    function_in_vpc = false
  }

  assert {
    condition     = length(alicloud_vswitch.function) == 0 && output.security_group_ids.function == null && length(output.function_vswitch_ids) == 0
    error_message = "there must be no vSwitch and no group of the function"
  }
}

run "one_zone_is_rejected" {
  command = plan

  variables {
    subnets = [{ zone = "cn-hangzhou-j", function_cidr = "10.0.0.0/24", worker_cidr = "10.0.3.0/24", data_cidr = "10.0.2.0/25" }]
  }

  expect_failures = [var.subnets]
}

run "a_data_range_outside_data_cidr_is_rejected" {
  command = plan

  variables {
    subnets = [
      { zone = "cn-hangzhou-j", function_cidr = "10.0.0.0/24", worker_cidr = "10.0.3.0/24", data_cidr = "10.0.2.0/25" },
      { zone = "cn-hangzhou-k", function_cidr = "10.0.1.0/24", worker_cidr = "10.0.4.0/24", data_cidr = "10.0.5.0/25" },
    ]
  }

  expect_failures = [var.subnets]
}

run "a_worker_range_inside_data_cidr_is_rejected" {
  command = plan

  variables {
    subnets = [
      { zone = "cn-hangzhou-j", function_cidr = "10.0.0.0/24", worker_cidr = "10.0.3.0/24", data_cidr = "10.0.2.0/25" },
      { zone = "cn-hangzhou-k", function_cidr = "10.0.1.0/24", worker_cidr = "10.0.2.64/26", data_cidr = "10.0.2.128/25" },
    ]
  }

  expect_failures = [var.subnets]
}
