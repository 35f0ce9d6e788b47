mock_provider "alicloud" {}

variables {
  name     = "spillway-test"
  contacts = [{ name = "oncall", email = "oncall@example.com" }]
}

# Constants and fields: aliyun-log-go-sdk.
run "the_action_policy_notifies_every_contact" {
  variables {
    contacts = [{ name = "oncall", email = "oncall@example.com" }, { name = "deputy", email = "deputy@example.com" }]
  }

  assert {
    condition = (
      alicloud_log_resource_record.action_policy.resource_name == "sls.alert.action_policy" &&
      jsondecode(alicloud_log_resource_record.action_policy.value).action_policy_id == "spillway-test" &&
      strcontains(jsondecode(alicloud_log_resource_record.action_policy.value).primary_policy_script, "groups=[\"spillway-test\"]")
    )
    error_message = "the action policy must notify the group; the service refuses an empty script"
  }
  assert {
    condition = (
      alicloud_log_resource_record.group.resource_name == "sls.common.user_group" &&
      toset(jsondecode(alicloud_log_resource_record.group.value).members) == toset(["spillway-test-oncall", "spillway-test-deputy"]) &&
      toset(flatten([for user in alicloud_log_resource_record.user : jsondecode(user.value).email if user.resource_name == "sls.common.user"])) == toset(["oncall@example.com", "deputy@example.com"])
    )
    error_message = "the group must have every contact with its address"
  }
}

run "a_contacts_name_that_is_no_id_is_rejected" {
  command = plan
  variables {
    contacts = [{ name = "On Call", email = "oncall@example.com" }]
  }
  expect_failures = [var.contacts]
}
