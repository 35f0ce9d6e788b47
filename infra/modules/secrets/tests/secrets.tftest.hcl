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
    error_message = "every secret must be encrypted by the key and recoverable"
  }
  assert {
    condition = (
      alicloud_kms_key.this.deletion_protection == "Enabled" && alicloud_kms_key.this.pending_window_in_days == 30 &&
      alicloud_kms_key.this.automatic_rotation == "Enabled" && alicloud_kms_key.this.rotation_interval == "365d"
    )
    error_message = "the key must be protected, recoverable and rotated"
  }
}

run "outputs_have_names_of_secrets_and_no_values" {
  assert {
    condition     = output.secret_names == { "admin-token" = "spillway-test-admin-token", "worker-password" = "spillway-test-worker-password" }
    error_message = "the output must have the names in KMS"
  }
  assert {
    condition     = alltrue([for value in values(var.secrets) : !strcontains(jsonencode(nonsensitive(output.secret_names)), nonsensitive(value))])
    error_message = "no output may contain a value"
  }
}

run "first_values" {
  assert {
    condition     = length(distinct(values(output.secret_versions))) == 2 && !contains(values(output.secret_versions), "")
    error_message = "every secret must have its own version: ${jsonencode(output.secret_versions)}"
  }
}

# KMS rejects a new value under an existing version name: the apply would stop halfway.
run "a_changed_value_gets_a_new_version" {
  variables {
    secrets = {
      "admin-token"     = "another token of the admin port"
      "worker-password" = "the worker's password"
    }
  }

  assert {
    condition     = output.secret_versions["admin-token"] != run.first_values.secret_versions["admin-token"]
    error_message = "a changed value must have a new version"
  }
  assert {
    condition     = output.secret_versions["worker-password"] == run.first_values.secret_versions["worker-password"]
    error_message = "an unchanged value must have its old version"
  }
}

# Returning to an earlier value needs a new version too: the old version exists and cannot be written again.
run "an_earlier_value_gets_a_new_version" {
  assert {
    condition     = !contains([run.first_values.secret_versions["admin-token"], run.a_changed_value_gets_a_new_version.secret_versions["admin-token"]], output.secret_versions["admin-token"])
    error_message = "the value must have a third version"
  }
}

run "without_protection_secrets_are_deleted_immediately" {
  variables {
    deletion_protection = false
  }

  assert {
    condition     = alicloud_kms_key.this.deletion_protection == "Disabled" && alltrue([for secret in alicloud_kms_secret.this : secret.force_delete_without_recovery])
    error_message = "key and secrets must be deletable immediately"
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
