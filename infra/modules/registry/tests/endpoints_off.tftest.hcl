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

# It is what the first step meets: without the command that opens it nobody could go on.
run "a_disabled_endpoint_does_not_break_the_plan" {
  assert {
    condition     = output.address == "spillway-test-registry.cn-hangzhou.cr.aliyuncs.com/spillway-test" && length(output.push_steps) == 1
    error_message = "the address that it will have: ${output.address}"
  }
}
