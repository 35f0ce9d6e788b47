mock_provider "alicloud" {
  mock_resource "alicloud_kms_key" {
    defaults = {
      id = "key-1"
    }
  }
}

variables {
  name = "spillway-test"
  secrets = {
    "admin-token"     = "the admin port's token"
    "worker-password" = "the worker's password"
  }
}

run "secrets_have_their_own_key_and_can_be_recovered" {
  assert {
    condition = alltrue([
      for secret in alicloud_kms_secret.this :
      secret.encryption_key_id == alicloud_kms_key.this.id && secret.recovery_window_in_days == 30 && !secret.force_delete_without_recovery
    ]) && length(alicloud_kms_secret.this) == 2
    error_message = "each under the key, each recoverable"
  }
  assert {
    condition = (
      alicloud_kms_key.this.deletion_protection == "Enabled" && alicloud_kms_key.this.pending_window_in_days == 30 &&
      alicloud_kms_key.this.automatic_rotation == "Enabled" && alicloud_kms_key.this.rotation_interval == "365d"
    )
    error_message = "a key that is not lost by mistake, and makes itself new"
  }
}

run "outputs_have_names_of_secrets_and_no_values" {
  assert {
    condition     = output.secret_names == { "admin-token" = "spillway-test-admin-token", "worker-password" = "spillway-test-worker-password" }
    error_message = "names"
  }
  assert {
    condition     = alltrue([for value in values(var.secrets) : !strcontains(jsonencode(nonsensitive(output.secret_names)), nonsensitive(value))])
    error_message = "no value"
  }
}

run "first_values" {
  assert {
    condition     = length(distinct(values(output.secret_versions))) == 2 && !contains(values(output.secret_versions), "")
    error_message = "a version each: ${jsonencode(output.secret_versions)}"
  }
}

# KMS refuses a new value under the name of a version that is there: the apply would end half-way.
run "a_changed_value_gets_a_new_version" {
  variables {
    secrets = {
      "admin-token"     = "another token of the admin port"
      "worker-password" = "the worker's password"
    }
  }

  assert {
    condition     = output.secret_versions["admin-token"] != run.first_values.secret_versions["admin-token"]
    error_message = "what changed has a new version"
  }
  assert {
    condition     = output.secret_versions["worker-password"] == run.first_values.secret_versions["worker-password"]
    error_message = "what did not has its own still"
  }
}

# Back to what was before is a value like any other: the version of before holds it, and may not be written again.
run "an_earlier_value_gets_a_new_version" {
  assert {
    condition     = !contains([run.first_values.secret_versions["admin-token"], run.a_changed_value_gets_a_new_version.secret_versions["admin-token"]], output.secret_versions["admin-token"])
    error_message = "a third version"
  }
}

run "without_protection_secrets_are_deleted_immediately" {
  variables {
    deletion_protection = false
  }

  assert {
    condition     = alicloud_kms_key.this.deletion_protection == "Disabled" && alltrue([for secret in alicloud_kms_secret.this : secret.force_delete_without_recovery])
    error_message = "the key can go, and names are free again"
  }
}

run "a_short_secret_is_rejected" {
  command = plan

  variables {
    secrets = { "admin-token" = "short" }
  }

  expect_failures = [var.secrets]
}

run "a_recovery_window_below_the_minimum_is_rejected" {
  command = plan

  variables {
    recovery_days = 1
  }

  expect_failures = [var.recovery_days]
}
