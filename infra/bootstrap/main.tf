# The bucket of the root's state, and the table of its locks. This folder's own state cannot be in the bucket, so it is a
# local file without secrets.

terraform {
  required_version = ">= 1.9"

  required_providers {
    alicloud = {
      source  = "aliyun/alicloud"
      version = "= 1.289.0"
    }
  }
}

provider "alicloud" {
  region = var.region
}

resource "alicloud_oss_bucket" "state" {
  bucket = var.bucket
  tags   = { system = "spillway" }

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
  name          = var.lock_instance
  description   = "locks of Terraform's state"
  instance_type = "Capacity"
  accessed_by   = "Any"
  tags          = { system = "spillway" }
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
