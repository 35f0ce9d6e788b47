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

run "invalid_bucket_names_are_rejected" {
  command = plan

  variables {
    bucket = "Spillway_State"
  }

  expect_failures = [var.bucket]
}
