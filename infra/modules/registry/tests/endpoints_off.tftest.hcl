mock_provider "alicloud" {
  mock_resource "alicloud_cr_ee_instance" {
    defaults = {
      id = "cri-1"
      instance_endpoints = [
        { enable = false, endpoint_type = "internet", domains = [] },
      ]
    }
  }
}

variables {
  name       = "spillway-test"
  region     = "cn-hangzhou"
  push_cidrs = { ci = "198.51.100.7/32" }
}

# The state at the first deployment.
run "a_disabled_endpoint_does_not_break_the_plan" {
  assert {
    condition     = output.address == "spillway-test-registry.cn-hangzhou.cr.aliyuncs.com/spillway-test"
    error_message = "the address must be the composed one: ${output.address}"
  }
}
