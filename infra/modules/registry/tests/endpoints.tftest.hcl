mock_provider "alicloud" {
  mock_resource "alicloud_cr_ee_instance" {
    defaults = {
      id = "cri-1"
      instance_endpoints = [
        { enable = true, endpoint_type = "vpc", domains = [{ domain = "inside.example.com", type = "SYSTEM" }] },
        { enable = true, endpoint_type = "internet", domains = [{ domain = "outside.example.com", type = "SYSTEM" }] },
      ]
    }
  }
}

variables {
  name       = "spillway-test"
  region     = "cn-hangzhou"
  push_cidrs = { ci = "198.51.100.7/32" }

  resource_group_id = "rg-1"
  instance_type     = "Basic"
  payment           = "PayAsYouGo"
  tags_kept         = 30
}

run "addresses_are_chosen_by_endpoint_type" {
  assert {
    condition     = output.address == "outside.example.com/spillway-test" && output.pull_address == "inside.example.com/spillway-test"
    error_message = "addresses must be chosen by endpoint type, not by order: ${output.address}, ${output.pull_address}"
  }
}
