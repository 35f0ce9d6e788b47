mock_provider "alicloud" {
  mock_data "alicloud_account" {
    defaults = {
      id = "1234567890123456"
    }
  }
  mock_resource "alicloud_cr_ee_instance" {
    defaults = {
      id                 = "cri-1"
      instance_endpoints = []
    }
  }
}

variables {
  state_bucket = "spillway-state-test"
  push_cidrs   = { ci = "198.51.100.7/32" }
  github       = { repository = "example/spillway" }
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

# Terraform's page of the OSS backend: the table needs a primary key `LockID` of type String. Tablestore: 3 to 16 characters.
run "the_states_are_locked_and_apart" {
  command = plan

  assert {
    condition     = [for key in alicloud_ots_table.lock.primary_key : "${key.name} ${key.type}"] == ["LockID String"]
    error_message = "the table must have the backend's key"
  }
  assert {
    condition     = can(regex("^[a-z][a-z0-9-]{2,15}$", alicloud_ots_instance.lock.name))
    error_message = "the name of the instance must be accepted: ${alicloud_ots_instance.lock.name}"
  }
  assert {
    condition = alltrue([
      for environment, settings in output.backend : length(setsubtract(
        ["tablestore_table=terraform_lock", "tablestore_endpoint=https://l234567890123456.cn-hangzhou.ots.aliyuncs.com", "prefix=spillway/${environment}"],
        split(" ", settings),
      )) == 0
    ]) && toset(keys(output.backend)) == toset(["dev", "prod"])
    error_message = "each environment must have a state of its own, with the lock: ${jsonencode(output.backend)}"
  }
  assert {
    condition     = strcontains(output.own_backend, "prefix = \"spillway/account\"")
    error_message = "the account's state must not be an environment's"
  }
}

# The data sources call Open…Service whenever they are read, so already in plan (the provider's source).
run "nothing_is_activated_unasked" {
  command = plan

  assert {
    condition     = alltrue([for status in values(output.activated) : status == null])
    error_message = "no service may be switched on by a plan"
  }
}

run "activation_covers_the_services_that_have_a_switch" {
  command = plan

  variables {
    activate = true
  }

  # The provider's data sources named …_service, of what the roots use (terraform-check's schema.json).
  assert {
    condition = alltrue([
      for source in concat(
        data.alicloud_api_gateway_service.this, data.alicloud_fc_service.this, data.alicloud_kms_service.this, data.alicloud_log_service.this,
        data.alicloud_ons_service.this, data.alicloud_oss_service.this, data.alicloud_ots_service.this, data.alicloud_pvtz_service.this,
        data.alicloud_sae_service.this, data.alicloud_vpc_flow_log_service.this,
      ) : source.enable == "On"
    ]) && length(output.activated) == 10
    error_message = "every service must be switched on"
  }
}

run "one_account_has_one_registry_one_provider_and_the_roles_of_each_environment" {
  command = plan

  assert {
    condition     = { for environment, roles in output.role_arns : environment => length(roles) } == { dev = 7, prod = 7 }
    error_message = "each environment must have its roles"
  }
  # ROS's ALIYUN::RAM::OIDCProvider requires 1 to 5 fingerprints; the API's page does not say what happens without.
  assert {
    condition     = one(alicloud_ims_oidc_provider.github).client_ids == toset(["sts.aliyuncs.com"]) && length(one(alicloud_ims_oidc_provider.github).fingerprints) > 0
    error_message = "the provider must have the tokens' audience, and a fingerprint"
  }
  assert {
    condition = (
      jsondecode(module.ram["spillway-dev"].trust.deploy).Statement[0].Condition.StringEquals["oidc:sub"] == ["repo:example/spillway:environment:dev"] &&
      jsondecode(module.ram["spillway-prod"].trust.deploy).Statement[0].Principal.Federated == ["acs:ram::1234567890123456:oidc-provider/spillway-github"]
    )
    error_message = "each role must trust its own environment, by the account's provider"
  }
}

# "Authorize a PolarDB cluster to access KMS" (2026-03), AliyunRDSInstanceEncryptionRolePolicy (a system policy, RAM's list of policies,
# 2023-12), and the provider's page of alicloud_polardb_cluster: name, trusted service and policy.
run "the_databases_can_be_encrypted" {
  command = plan

  assert {
    condition = (
      one(alicloud_ram_role.encryption).role_name == "AliyunRDSInstanceEncryptionDefaultRole" &&
      jsondecode(one(alicloud_ram_role.encryption).assume_role_policy_document) == {
        Version   = "1"
        Statement = [{ Effect = "Allow", Action = "sts:AssumeRole", Principal = { Service = ["rds.aliyuncs.com"] } }]
      }
    )
    error_message = "PolarDB must be able to assume its role, and no other service"
  }
  assert {
    condition = [for it in alicloud_ram_role_policy_attachment.encryption : "${it.role_name} ${it.policy_name} ${it.policy_type}"] == [
      "AliyunRDSInstanceEncryptionDefaultRole AliyunRDSInstanceEncryptionRolePolicy System",
    ]
    error_message = "the role must have the vendor's policy, and no other"
  }
}

run "the_role_of_another_database_is_left_alone" {
  command = plan

  variables {
    encryption_role = false
  }

  assert {
    condition     = length(alicloud_ram_role.encryption) + length(alicloud_ram_role_policy_attachment.encryption) == 0
    error_message = "an existing role must be left as it is"
  }
}

# "List of managed rules" of Cloud Config.
run "the_account_is_audited" {
  command = plan

  assert {
    condition     = alicloud_actiontrail_trail.this.trail_region == "All" && strcontains(alicloud_actiontrail_trail.this.sls_project_arn, "1234567890123456:project/spillway-audit-1234567890123456")
    error_message = "the trail must record every region, in a project that no environment has"
  }
  assert {
    condition = length(setsubtract(
      ["oss-bucket-public-read-prohibited", "oss-bucket-public-write-prohibited", "polardb-cluster-address-no-public", "ram-user-mfa-check"],
      [for rule in alicloud_config_rule.this : rule.source_identifier],
    )) == 0
    error_message = "Cloud Config must watch buckets, database endpoints and users"
  }
}

# The platform of an environment makes Log Service's records in its `records_region`.
run "the_roles_reach_the_records_of_their_environment" {
  command = plan

  override_module {
    target  = module.registry
    outputs = { instance_id = "cri-1", namespace = "spillway", address = "", pull_address = "" }
  }

  variables {
    environments = { dev = { records_region = "cn-shanghai" }, prod = {} }
  }

  assert {
    condition = alltrue([
      for name, region in { spillway-dev = "cn-shanghai", spillway-prod = "cn-heyuan" } : alltrue([
        for role in ["plan", "apply"] : strcontains(module.ram[name].policies[role], "\"acs:log:${region}:1234567890123456:resource/*\"")
      ])
    ])
    error_message = "plan and apply must reach the records of their environment"
  }
}

run "a_quota_is_asked_for_in_the_region" {
  command = plan

  variables {
    quotas = { functions = { product = "fc", code = "q_test", value = 500, reason = "a sale" } }
  }

  assert {
    condition = (
      alicloud_quotas_quota_application.this["functions"].desire_value == 500 &&
      one(alicloud_quotas_quota_application.this["functions"].dimensions).value == "cn-hangzhou"
    )
    error_message = "the quota must be asked for"
  }
}

run "names_that_the_platforms_refuse_are_rejected" {
  command = plan

  variables {
    name         = "aliyun-spillway"
    state_bucket = "Spillway_State"
    environments = { production = {} }
  }

  expect_failures = [var.name, var.state_bucket, var.environments]
}
