mock_provider "alicloud" {
  mock_data "alicloud_account" {
    defaults = {
      id = "1234567890123456"
    }
  }
}

mock_provider "alicloud" {
  alias = "records"
}

variables {
  ingest_image = "registry.example.com/spillway/ingest-fn@sha256:0000000000000000000000000000000000000000000000000000000000000000"
  worker_image = "registry.example.com/spillway/drain-worker@sha256:0000000000000000000000000000000000000000000000000000000000000000"
  jwk          = { kty = "RSA", n = "AQAB", e = "AQAB" }
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
}

run "it_plans" {
  command = plan

  assert {
    condition     = length(output.provision_actions) == 0
    error_message = "without a sale there must be no warm instances"
  }
}

run "a_rehearsal_starts_and_stops_its_warm_instances" {
  command = plan

  variables {
    sale_windows = [{ name = "rehearsal", opens_at = "2026-11-11T00:00:00", closes_at = "2026-11-11T01:00:00", instances = 2 }]
  }

  assert {
    condition     = [for action in output.provision_actions : action.target] == [2, 0]
    error_message = "instances must start, and stop again"
  }
}
