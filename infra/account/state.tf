# The bucket of all states, and the table of their locks.

resource "alicloud_oss_bucket" "state" {
  bucket            = var.state_bucket
  resource_group_id = alicloud_resource_manager_resource_group.this[var.name].id
  tags              = var.tags

  # Without the state, secrets and the list of all resources are lost.
  lifecycle {
    prevent_destroy = true
  }
}

resource "alicloud_oss_bucket_acl" "state" {
  bucket = alicloud_oss_bucket.state.bucket
  acl    = "private"
}

resource "alicloud_oss_bucket_public_access_block" "state" {
  bucket              = alicloud_oss_bucket.state.bucket
  block_public_access = true
}

# An overwritten state can be restored.
resource "alicloud_oss_bucket_versioning" "state" {
  bucket = alicloud_oss_bucket.state.bucket
  status = "Enabled"
}

# The state contains every secret.
resource "alicloud_oss_bucket_server_side_encryption" "state" {
  bucket        = alicloud_oss_bucket.state.bucket
  sse_algorithm = "KMS"
}

# Two applies at the same time would overwrite each other's state.
resource "alicloud_ots_instance" "lock" {
  # 3 to 16 characters, the first a letter, unique in the region (certain: "Instance" of Tablestore): so the account's id is in it.
  name              = "l${substr(data.alicloud_account.current.id, -15, 15)}"
  description       = "locks of Terraform's state"
  instance_type     = "Capacity"
  accessed_by       = "Any"
  resource_group_id = alicloud_resource_manager_resource_group.this[var.name].id
  tags              = var.tags
}

# The key's name and type are the backend's (certain: Terraform's page of the OSS backend).
resource "alicloud_ots_table" "lock" {
  instance_name = alicloud_ots_instance.lock.name
  table_name    = "terraform_lock"
  time_to_live  = -1
  max_version   = 1

  primary_key {
    name = "LockID"
    type = "String"
  }
}
