# For operators and the deployment. The services read their environments, which the platforms encrypt; no image and no log
# contains a secret.
#
# Parameters of CloudOps Orchestration Service, because a secret of KMS needs a paid KMS instance (certain: KMS, "Getting
# started with secrets", 2025-07), and an account without one has a single key a region.
resource "alicloud_oos_secret_parameter" "this" {
  # Names are not sensitive.
  for_each = nonsensitive(toset(keys(var.secrets)))

  secret_parameter_name = "${var.name}-${each.key}"
  description           = "Spillway: ${each.key}"
  value                 = var.secrets[each.key]
  resource_group_id     = var.resource_group_id
  tags                  = var.tags
}
