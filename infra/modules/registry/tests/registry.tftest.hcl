mock_provider "alicloud" {
  mock_resource "alicloud_cr_ee_instance" {
    defaults = {
      id                 = "cri-1"
      instance_endpoints = []
    }
  }
}

variables {
  name       = "spillway-test"
  region     = "cn-hangzhou"
  push_cidrs = { ci = "198.51.100.7/32" }

  resource_group_id = "rg-1"
  instance_type     = "Basic"
  payment           = "PayAsYouGo"
  tags_kept         = 30
}

run "images_are_private_scanned_and_cannot_be_overwritten" {
  assert {
    condition = (
      length(setintersection(keys(alicloud_cr_ee_repo.this), ["drain-worker", "ingest-fn"])) == 2 && length(alicloud_cr_ee_repo.this) == 2 &&
      alltrue([for repo in alicloud_cr_ee_repo.this : repo.repo_type == "PRIVATE" && repo.tag_immutability])
    )
    error_message = "there must be two private repositories with immutable tags"
  }
  assert {
    condition = (
      alicloud_cr_ee_namespace.this.default_visibility == "PRIVATE" &&
      !alicloud_cr_ee_namespace.this.auto_create
    )
    error_message = "a push must not create a repository"
  }
  assert {
    condition = (
      alicloud_cr_scan_rule.this.trigger_type == "AUTO" &&
      alicloud_cr_scan_rule.this.repo_tag_filter_pattern == ".*" &&
      alicloud_cr_ee_instance.this.image_scanner == "ACR"
    )
    error_message = "every pushed image must be scanned"
  }
  assert {
    condition     = output.address == "spillway-test-registry.cn-hangzhou.cr.aliyuncs.com/spillway-test" && output.pull_address == "spillway-test-registry-vpc.cn-hangzhou.cr.aliyuncs.com/spillway-test"
    error_message = "push and pull addresses must be these"
  }
}

run "the_newest_tags_are_retained" {
  assert {
    condition = alltrue([
      for rule in alicloud_cr_artifact_lifecycle_rule.this : rule.auto && rule.retention_tag_count == 30
    ]) && length(alicloud_cr_artifact_lifecycle_rule.this) == 2
    error_message = "30 tags of each repository must be retained"
  }
}

run "only_listed_ranges_reach_the_public_endpoint" {
  variables {
    push_cidrs = { ci = "198.51.100.7/32", runner = "203.0.113.9/32" }
  }

  assert {
    condition     = output.push_cidrs == { ci = "198.51.100.7/32", runner = "203.0.113.9/32" }
    error_message = "the allow list must have both entries"
  }
  assert {
    condition     = alicloud_cr_internet_endpoint.this.instance_id == alicloud_cr_ee_instance.this.id
    error_message = "the endpoint must be the instance's"
  }
}

run "an_empty_list_is_rejected" {
  command = plan

  variables {
    push_cidrs = {}
  }

  expect_failures = [var.push_cidrs]
}
