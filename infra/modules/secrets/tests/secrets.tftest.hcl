mock_provider "alicloud" {}

variables {
  resource_group_id = "rg-1"
  name              = "spillway-test"
  secrets = {
    "admin-token"     = "the admin port's token"
    "worker-password" = "the worker's password"
  }
}

# KMS, "Getting started with keys" (2026-01) and "Getting started with secrets" (2025-07): a key besides the region's
# default one, and every secret, belong to a KMS instance, which is paid for.
run "secrets_need_no_kms_instance" {
  assert {
    condition = alltrue([
      for secret in alicloud_oos_secret_parameter.this : secret.key_id == null && secret.dkms_instance_id == null
    ]) && length(alicloud_oos_secret_parameter.this) == 2
    error_message = "every secret must be encrypted by the service's key"
  }
}

run "outputs_have_names_of_secrets_and_no_values" {
  assert {
    condition     = output.secret_names == { "admin-token" = "spillway-test-admin-token", "worker-password" = "spillway-test-worker-password" }
    error_message = "the output must have the names"
  }
  assert {
    condition     = alltrue([for value in values(var.secrets) : !strcontains(jsonencode(nonsensitive(output.secret_names)), nonsensitive(value))])
    error_message = "no output may contain a value"
  }
}

run "bad_values_are_rejected" {
  command = plan

  variables {
    # a short secret
    secrets = { "admin-token" = "short" }
  }

  expect_failures = [var.secrets]
}
