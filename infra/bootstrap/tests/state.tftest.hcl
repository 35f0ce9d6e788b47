mock_provider "alicloud" {}

variables {
  bucket = "spillway-state-test"
}

run "the_state_bucket_is_private_encrypted_and_versioned" {
  # The bucket refuses to be destroyed, after a test as well.
  command = plan

  assert {
    condition     = alicloud_oss_bucket_acl.state.acl == "private" && alicloud_oss_bucket_public_access_block.state.block_public_access
    error_message = "nobody else reads it"
  }
  assert {
    condition     = alicloud_oss_bucket_server_side_encryption.state.sse_algorithm == "KMS"
    error_message = "encrypted: it has every secret in it"
  }
  assert {
    condition     = alicloud_oss_bucket_versioning.state.status == "Enabled"
    error_message = "earlier versions are kept"
  }
}

run "invalid_bucket_names_are_rejected" {
  command = plan

  variables {
    bucket = "Spillway_State"
  }

  expect_failures = [var.bucket]
}
