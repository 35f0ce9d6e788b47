mock_provider "alicloud" {
  mock_resource "alicloud_api_gateway_group" {
    defaults = {
      id         = "group-1"
      sub_domain = "group-1.example"
    }
  }
}

variables {
  name           = "spillway-test"
  region         = "cn-hangzhou"
  function       = { url = "https://ingest.example", role_arn = "acs:ram::1:role/spillway-test-gateway" }
  worker_query   = { vpc_id = "vpc-1", instance_id = "alb-1", port = 80, host = "query.spillway.internal" }
  backend_secret = { key = "Key2026a", secret = "not-a-secret-at-all" }
  jwt            = { jwk = { kty = "RSA", n = "AQAB", e = "AQAB" } }
  throttle       = { orders_per_second = 50000, lookups_per_second = 5000 }
}

run "every_route_has_a_throttle" {
  command = plan

  assert {
    condition     = toset(keys(alicloud_api_gateway_plugin_attachment.throttle)) == toset(keys(alicloud_api_gateway_api.this))
    error_message = "every route must have a throttle"
  }
  assert {
    condition = { for key, plugin in alicloud_api_gateway_plugin.throttle : key => jsondecode(plugin.plugin_data).apiDefault } == {
      place_order = 50000, look_up_order = 5000
    }
    error_message = "every route must have its own limit"
  }
  assert {
    condition = alltrue([
      for plugin in alicloud_api_gateway_plugin.throttle :
      jsondecode(plugin.plugin_data).unit == "SECOND" && jsondecode(plugin.plugin_data).blockingMode == "QUICK_RETURN"
    ])
    error_message = "throttles must be by second and answer immediately, without a queue"
  }
}

run "every_caller_has_a_throttle" {
  command = plan
  variables {
    throttle = { orders_per_second = 50000, lookups_per_second = 5000, per_user_second = 100 }
  }
  assert {
    condition     = alltrue([for plugin in alicloud_api_gateway_plugin.throttle : jsondecode(plugin.plugin_data).userDefault == 100])
    error_message = "throttles must have the limit of a caller"
  }
}

run "a_caller_throttle_above_the_route_throttle_is_rejected" {
  command = plan
  variables {
    throttle = { orders_per_second = 50000, lookups_per_second = 5000, per_user_second = 10000 }
  }
  expect_failures = [var.throttle]
}

run "a_throttle_by_buyer_replaces_the_one_by_caller" {
  command = plan
  variables {
    throttle_by_buyer = "{\"rules\":[]}"
  }
  assert {
    condition     = alicloud_api_gateway_plugin.throttle["place_order"].plugin_data == "{\"rules\":[]}" && jsondecode(alicloud_api_gateway_plugin.throttle["look_up_order"].plugin_data).apiDefault == 5000
    error_message = "orders must use the given configuration, lookups the default"
  }
}

run "bodies_above_16_kib_are_rejected" {
  command = plan

  assert {
    condition     = toset(keys(alicloud_api_gateway_plugin_attachment.body)) == toset(["place_order"])
    error_message = "the plug-in must be on every POST route"
  }
  assert {
    condition = (
      jsondecode(alicloud_api_gateway_plugin.body[0].plugin_data).rules[0].condition == "$bodyBytes > 16384" &&
      jsondecode(alicloud_api_gateway_plugin.body[0].plugin_data).rules[0].ifTrue == "DENY" &&
      jsondecode(alicloud_api_gateway_plugin.body[0].plugin_data).rules[0].statusCode == 413
    )
    error_message = "the limit must be ingest-fn's 16384 bytes"
  }
}

run "the_default_is_the_shared_instance" {
  command = plan
  assert {
    condition     = length(alicloud_api_gateway_instance.this) == 0 && output.instance_id == null
    error_message = "there must be no dedicated instance"
  }
}

run "a_dedicated_instance_can_be_made" {
  command = plan
  variables {
    instance = { spec = "api.s2.large.x5", zone_id = "cn-hangzhou-MAZ6" }
  }
  assert {
    condition     = alicloud_api_gateway_instance.this[0].instance_spec == "api.s2.large.x5" && alicloud_api_gateway_instance.this[0].https_policy == "HTTPS2_TLS1_2"
    error_message = "the instance must have the given class and TLS policy"
  }
}

run "old_tls_is_rejected" {
  command = plan
  variables {
    instance = { spec = "api.s1.small", zone_id = "cn-hangzhou-MAZ6", https_policy = "HTTPS2_TLS1_0" }
  }
  expect_failures = [var.instance]
}

run "the_gateway_log_has_no_body_and_no_header" {
  command = plan
  assert {
    condition = (
      alicloud_api_gateway_group.this.user_log_config[0].request_body == false &&
      alicloud_api_gateway_group.this.user_log_config[0].response_body == false &&
      alicloud_api_gateway_group.this.user_log_config[0].request_headers == "" &&
      alicloud_api_gateway_group.this.user_log_config[0].jwt_claims == ""
    )
    error_message = "the log must have no bodies, headers or claims: they contain names, addresses and tokens"
  }
}

run "a_custom_domain_can_be_set" {
  command = apply
  variables {
    domain = { name = "api.example.com", zone = "example.com" }
  }
  assert {
    condition     = alicloud_alidns_record.this[0].rr == "api" && alicloud_alidns_record.this[0].type == "CNAME" && alicloud_alidns_record.this[0].value == "group-1.example"
    error_message = "the CNAME must point to the group"
  }
  assert {
    condition     = length(output.domain_steps) == 2 && strcontains(output.domain_steps[0], "--GroupId group-1 --DomainName api.example.com")
    error_message = "the output must have the commands that bind the domain"
  }
}

run "a_domain_outside_the_zone_is_rejected" {
  command = plan
  variables {
    domain = { name = "api.example.org", zone = "example.com" }
  }
  expect_failures = [var.domain]
}

run "dns_can_be_managed_elsewhere" {
  command = apply
  variables {
    domain = { name = "api.example.com" }
  }
  assert {
    condition     = length(alicloud_alidns_record.this) == 0 && length(output.domain_steps) == 2
    error_message = "there must be no DNS record, but the commands"
  }
}
