mock_provider "alicloud" {}

variables {
  name        = "spillway-test"
  image       = "registry.example.com/spillway/ingest-fn@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
  cpu         = 0.5
  memory_mb   = 512
  role_arn    = "acs:ram::1:role/spillway-test-function"
  log         = { project = "spillway-test", logstore = "function" }
  environment = { SPILLWAY_GATEWAY_SECRETS = "Key2026a=not-a-secret", SPILLWAY_CATALOGUE = "/sales.toml" }
}

run "without_a_bucket_the_catalogue_is_the_images" {
  command = plan
  assert {
    condition     = length(alicloud_fcv3_function.this.oss_mount_config) == 0 && alicloud_fcv3_function.this.environment_variables.SPILLWAY_CATALOGUE == "/sales.toml"
    error_message = "the catalogue must be the image's"
  }
}

run "the_catalogue_is_mounted_read_only" {
  command = plan
  variables {
    catalogue = { bucket = "spillway-test", folder = "/catalogue", endpoint = "http://oss-cn-hangzhou-internal.aliyuncs.com" }
  }
  assert {
    condition     = alltrue([for mount in alicloud_fcv3_function.this.oss_mount_config[0].mount_points : mount.read_only])
    error_message = "the function must not write to the bucket"
  }
  assert {
    condition     = alicloud_fcv3_function.this.oss_mount_config[0].mount_points[0].bucket_path == "/catalogue" && alicloud_fcv3_function.this.environment_variables.SPILLWAY_CATALOGUE == "/catalogue/sales.toml"
    error_message = "ingest-fn must read the mounted file"
  }
}

run "a_whole_bucket_is_rejected" {
  command = plan
  variables {
    catalogue = { bucket = "spillway-test", folder = "/", endpoint = "http://oss-cn-hangzhou-internal.aliyuncs.com" }
  }
  expect_failures = [var.catalogue]
}

run "a_public_endpoint_is_rejected" {
  command = plan
  variables {
    catalogue = { bucket = "spillway-test", folder = "/catalogue", endpoint = "http://oss-cn-hangzhou.aliyuncs.com" }
  }
  expect_failures = [var.catalogue]
}
