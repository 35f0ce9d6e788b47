terraform {
  required_version = ">= 1.9"

  required_providers {
    alicloud = {
      source  = "aliyun/alicloud"
      version = "= 1.289.0"
    }
  }

  # Bucket, prefix and lock table: see infra/bootstrap. Set by -backend-config, so that this folder names no account.
  backend "oss" {}
}

provider "alicloud" {
  region = var.region
}

provider "alicloud" {
  alias  = "records"
  region = var.records_region
}

data "alicloud_account" "current" {}
