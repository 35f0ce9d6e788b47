locals {
  repositories = toset(["ingest-fn", "drain-worker"])
}

resource "alicloud_cr_ee_instance" "this" {
  instance_name  = var.name
  instance_type  = var.instance_type
  payment_type   = var.payment
  period         = var.payment == "Subscription" ? 1 : null
  renewal_status = var.payment == "Subscription" ? "AutoRenewal" : null
  renew_period   = var.payment == "Subscription" ? 1 : null
  # The registry's own scanner; Security Center's is billed separately.
  image_scanner     = "ACR"
  resource_group_id = var.resource_group_id
  tags              = var.tags
}

resource "alicloud_cr_ee_namespace" "this" {
  instance_id = alicloud_cr_ee_instance.this.id
  name        = var.name
  # A push to a misspelt name is an error, not a new repository.
  auto_create        = false
  default_visibility = "PRIVATE"
}

resource "alicloud_cr_ee_repo" "this" {
  for_each = local.repositories

  instance_id = alicloud_cr_ee_instance.this.id
  namespace   = alicloud_cr_ee_namespace.this.name
  name        = each.key
  repo_type   = "PRIVATE"
  summary     = "Spillway ${each.key}"
  # A tag always names the image that was scanned.
  tag_immutability = true
}

resource "alicloud_cr_scan_rule" "this" {
  instance_id             = alicloud_cr_ee_instance.this.id
  rule_name               = var.name
  scan_scope              = "NAMESPACE"
  namespaces              = [alicloud_cr_ee_namespace.this.name]
  repo_tag_filter_pattern = ".*"
  scan_type               = "VUL"
  trigger_type            = "AUTO"
}

resource "alicloud_cr_artifact_lifecycle_rule" "this" {
  for_each = local.repositories

  instance_id         = alicloud_cr_ee_instance.this.id
  namespace_name      = alicloud_cr_ee_namespace.this.name
  repo_name           = alicloud_cr_ee_repo.this[each.key].name
  scope               = "REPO"
  tag_regexp          = ".*"
  retention_tag_count = var.tags_kept
  auto                = true
  schedule_time       = "WEEK"
}

# The public endpoint: on, for these ranges only, and with a token, valid for an hour. This resource alone manages the
# entries: it adds them when the endpoint runs, and entries made while it is CREATING are dropped (certain: the provider's
# source, 1.289.0).
resource "alicloud_cr_internet_endpoint" "this" {
  instance_id = alicloud_cr_ee_instance.this.id

  dynamic "entries" {
    for_each = var.push_cidrs
    content {
      entry   = entries.value
      comment = entries.key
    }
  }
}

locals {
  # The instance reports its host names after it is made; before, they are composed of name and region (likely).
  domains = {
    for endpoint in coalesce(alicloud_cr_ee_instance.this.instance_endpoints, []) : endpoint.endpoint_type => endpoint.domains[0].domain...
    # A disabled endpoint may have no domain.
    if length(coalesce(endpoint.domains, [])) > 0
  }
  host     = try(local.domains["internet"][0], "${var.name}-registry.${var.region}.cr.aliyuncs.com")
  host_vpc = try(local.domains["vpc"][0], "${var.name}-registry-vpc.${var.region}.cr.aliyuncs.com")
}
