mock_provider "alicloud" {}

variables {
  bucket = "spillway-state-test"
}

run "the_state_bucket_is_private_encrypted_and_versioned" {
  # Plan only: Terraform could not destroy the bucket after the test.
  command = plan

  assert {
    condition     = alicloud_oss_bucket_acl.state.acl == "private" && alicloud_oss_bucket_public_access_block.state.block_public_access
    error_message = "the bucket must be private"
  }
  assert {
    condition     = alicloud_oss_bucket_server_side_encryption.state.sse_algorithm == "KMS"
    error_message = "the bucket must be encrypted: the state contains every secret"
  }
  assert {
    condition     = alicloud_oss_bucket_versioning.state.status == "Enabled"
    error_message = "the bucket must be versioned"
  }
}

# Terraform's page of the OSS backend: the table needs a primary key `LockID` of type String.
run "the_state_is_locked" {
  command = plan

  assert {
    condition     = [for key in alicloud_ots_table.lock.primary_key : "${key.name} ${key.type}"] == ["LockID String"]
    error_message = "the table must have the backend's key"
  }
  assert {
    condition     = strcontains(output.backend, "-backend-config=tablestore_table=terraform_lock") && strcontains(output.backend, "-backend-config=tablestore_endpoint=https://spillway-locks.cn-hangzhou.ots.aliyuncs.com")
    error_message = "the backend's arguments must name the table: ${output.backend}"
  }
}

run "invalid_bucket_names_are_rejected" {
  command = plan

  variables {
    bucket = "Spillway_State"
  }

  expect_failures = [var.bucket]
}
