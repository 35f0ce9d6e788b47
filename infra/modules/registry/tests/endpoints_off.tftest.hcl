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
  name   = "spillway-test"
  region = "cn-hangzhou"
}

# The state at the first deployment: the plan must give the command that turns the endpoint on.
run "a_disabled_endpoint_does_not_break_the_plan" {
  assert {
    condition     = output.address == "spillway-test-registry.cn-hangzhou.cr.aliyuncs.com/spillway-test" && length(output.push_steps) == 1
    error_message = "the address must be the composed one: ${output.address}"
  }
}
