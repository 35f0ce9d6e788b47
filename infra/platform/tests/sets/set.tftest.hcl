# infra/check runs this file with each set of variables.

mock_provider "alicloud" {
  mock_data "alicloud_account" {
    defaults = {
      id = "1234567890123456"
    }
  }
  mock_data "alicloud_cr_ee_instances" {
    defaults = {
      ids = ["cri-1"]
    }
  }
  mock_data "alicloud_resource_manager_resource_groups" {
    defaults = {
      ids = ["rg-1"]
    }
  }
}

mock_provider "alicloud" {
  alias = "records"
}

variables {
  ingest_image = "registry.example.com/spillway/ingest-fn@sha256:0000000000000000000000000000000000000000000000000000000000000000"
  worker_image = "registry.example.com/spillway/drain-worker@sha256:0000000000000000000000000000000000000000000000000000000000000000"
  contacts     = [{ name = "oncall", email = "oncall@example.com" }]
  secrets = {
    broker_function   = "a=broker-function-password"
    broker_worker     = "broker-worker-password"
    database_worker   = "Worker-password-1"
    database_migrator = "Migrator-password1"
    database_tune     = "Tune-password-1"
    gateway           = "sale2026a=the-gateways-secret"
    admin_token       = "admin-token-of-a-test"
    order_id_keys     = "k2026a=00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
  }
  jwk          = { kty = "RSA", n = "AQAB", e = "AQAB" }
  domain       = { name = "api.example.com", zone = "example.com" }
  sale_windows = [{ name = "double-eleven", opens_at = "2026-11-11T00:00:00", closes_at = "2026-11-11T01:00:00", instances = 5 }]
}

run "the_first_apply_plans_without_workers" {
  command = plan

  variables {
    workers = false
  }

  assert {
    condition     = output.routes == null && output.worker_application_id == null
    error_message = "there must be no front door and no workers"
  }
}

run "the_second_apply_plans_with_workers" {
  command = plan

  assert {
    condition     = toset([for route in output.routes : split(" →", route)[0]]) == toset(["POST /v1/orders", "GET /v1/orders/{order_id}"])
    error_message = "the public routes must be these"
  }
  assert {
    condition     = [for action in output.provision_actions : action.target] == [5, 0] && alltrue([for action in output.provision_actions : action.time_zone == "Asia/Shanghai"])
    error_message = "instances must start, and stop again, in local time"
  }
  assert {
    condition     = strcontains(output.provision_actions[0].schedule_expression, "50 23 10 11")
    error_message = "warming must fall on the previous day: ${output.provision_actions[0].schedule_expression}"
  }
}
