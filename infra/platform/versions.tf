terraform {
  required_version = ">= 1.9"

  required_providers {
    alicloud = {
      source  = "aliyun/alicloud"
      version = "= 1.289.0"
    }
  }

  # Bucket, prefix and lock table: see infra/account. Set by -backend-config, so that this folder names no account.
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

# What the account's root made, by name: nothing is copied from one root to the other.
data "alicloud_cr_ee_instances" "account" {
  name_regex = "^${var.account_name}$"

  lifecycle {
    postcondition {
      condition     = length(self.ids) == 1
      error_message = "there must be one registry ${var.account_name}: apply infra/account first."
    }
  }
}

data "alicloud_resource_manager_resource_groups" "environment" {
  name_regex = "^${var.name}$"

  lifecycle {
    postcondition {
      condition     = length(self.ids) == 1
      error_message = "there must be one resource group ${var.name}: name the environment in infra/account, and apply it."
    }
  }
}

locals {
  registry_instance_id = data.alicloud_cr_ee_instances.account.ids[0]
  resource_group_id    = data.alicloud_resource_manager_resource_groups.environment.ids[0]
  role_arns            = { for role in ["function", "gateway", "runner"] : role => "acs:ram::${data.alicloud_account.current.id}:role/${var.name}-${role}" }
}
