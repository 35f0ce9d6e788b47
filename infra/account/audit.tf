# Who changed what, and what must not be: one trail and one set of rules for the account.

# Unique in all of the cloud (certain: the provider's page), so the account's id is in it.
resource "alicloud_log_project" "audit" {
  project_name      = "${var.name}-audit-${data.alicloud_account.current.id}"
  description       = "Spillway: write calls of the account"
  resource_group_id = alicloud_resource_manager_resource_group.this[var.name].id
  tags              = var.tags
}

# Records every write call in every region, in the logstore actiontrail_NAME, which the trail makes with an index and a
# dashboard (certain: vendor documentation). No role of the pipeline may change it.
resource "alicloud_actiontrail_trail" "this" {
  trail_name      = var.name
  event_rw        = "Write"
  trail_region    = "All"
  sls_project_arn = "acs:log:${var.region}:${data.alicloud_account.current.id}:project/${alicloud_log_project.audit.project_name}"
  status          = "Enable"
}

# Managed rules of Cloud Config. Identifiers: the vendor's "List of managed rules", and its own pack
# cloud-governance-center-compliance-practice (aliyun/infraguard). All judge after a change (certain for RAM users; likely).
locals {
  rules = {
    oss-bucket-public-read-prohibited  = "ACS::OSS::Bucket"
    oss-bucket-public-write-prohibited = "ACS::OSS::Bucket"
    polardb-public-access-check        = "ACS::PolarDB::DBCluster"
    polardb-cluster-address-no-public  = "ACS::PolarDB::DBCluster"
    sg-public-access-check             = "ACS::ECS::SecurityGroup"
    ram-user-mfa-check                 = "ACS::RAM::User"
  }
}

resource "alicloud_config_configuration_recorder" "this" {}

resource "alicloud_config_rule" "this" {
  for_each = local.rules

  rule_name                 = "${var.name}-${each.key}"
  source_owner              = "ALIYUN"
  source_identifier         = each.key
  config_rule_trigger_types = "ConfigurationItemChangeNotification"
  resource_types_scope      = [each.value]
  # Critical.
  risk_level = 1

  # A rule judges what the recorder has recorded.
  depends_on = [alicloud_config_configuration_recorder.this]
}
