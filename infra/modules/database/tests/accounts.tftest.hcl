mock_provider "alicloud" {}

variables {
  name               = "spillway-test"
  vpc_id             = "vpc-1"
  zones              = ["cn-hangzhou-j", "cn-hangzhou-k"]
  vswitch_ids        = { cn-hangzhou-j = "vsw-j", cn-hangzhou-k = "vsw-k" }
  security_group_ids = ["sg-worker"]
  node_class         = "polar.mysql.x4.medium"
  passwords          = { worker = "Worker-Pass-1", migrator = "Migrator-Pass-1", tune = "Tune-Pass-1" }
}

run "accounts_have_the_least_grants" {
  command = plan

  assert {
    condition = (
      alicloud_polardb_account_privilege.this["worker"].account_privilege == "DMLOnly" &&
      alicloud_polardb_account_privilege.this["worker"].db_names == toset(["spillway"])
    )
    error_message = "the worker must read and write rows of spillway, and change no table"
  }
  assert {
    condition     = alicloud_polardb_account_privilege.this["migrator"].db_names == toset(["spillway"])
    error_message = "the migrator must change spillway only"
  }
  assert {
    condition = (
      alicloud_polardb_account_privilege.this["tune"].db_names == toset(["spillway_scratch"]) &&
      !contains(alicloud_polardb_account_privilege.this["tune"].db_names, "spillway")
    )
    error_message = "tune must have access to its scratch database only"
  }
  assert {
    condition     = alltrue([for account in alicloud_polardb_account.this : account.account_type == "Normal"])
    error_message = "no account may be privileged"
  }
  assert {
    condition     = length(alicloud_polardb_account.this) == 3 && length(alicloud_polardb_account_privilege.this) == 3
    error_message = "there must be three accounts with one grant each"
  }
}

# 2 to 16 characters, a lower-case letter first, a letter or digit last (polardb-20170801 of 2026-07-17, CreateAccount).
run "names_of_accounts_are_short_enough" {
  command = plan

  assert {
    condition     = alltrue([for account in alicloud_polardb_account.this : can(regex("^[a-z][a-z0-9_]{0,14}[a-z0-9]$", account.account_name))])
    error_message = "the service must accept the names"
  }
}

run "a_shared_password_is_rejected" {
  command = plan

  variables {
    passwords = { worker = "Migrator-Pass-1", migrator = "Migrator-Pass-1", tune = "Tune-Pass-1" }
  }

  expect_failures = [var.passwords]
}

run "weak_passwords_are_rejected" {
  command = plan

  variables {
    passwords = { worker = "workerpassword", migrator = "Migrator-Pass-1", tune = "Tune-Pass-1" }
  }

  expect_failures = [var.passwords]
}
