resource "alicloud_kms_key" "this" {
  description            = "${var.name}: storage of broker and secrets"
  dkms_instance_id       = var.kms_instance_id
  key_spec               = "Aliyun_AES_256"
  key_usage              = "ENCRYPT/DECRYPT"
  automatic_rotation     = var.rotation_days == null ? "Disabled" : "Enabled"
  rotation_interval      = var.rotation_days == null ? null : "${var.rotation_days}d"
  pending_window_in_days = var.recovery_days
  deletion_protection    = var.deletion_protection ? "Enabled" : "Disabled"
  tags                   = var.tags
}

resource "alicloud_kms_alias" "this" {
  alias_name = "alias/${var.name}"
  key_id     = alicloud_kms_key.this.id
}

# A new version name for each value: KMS accepts a new value only as a new version, and stores the old versions.
resource "terraform_data" "version" {
  for_each = nonsensitive(toset(keys(var.secrets)))

  triggers_replace = var.secrets[each.key]
}

# For operators. The services read their environments, which the platform encrypts; no image and no log contains a
# secret.
resource "alicloud_kms_secret" "this" {
  # Names are not sensitive.
  for_each = nonsensitive(toset(keys(var.secrets)))

  secret_name                   = "${var.name}-${each.key}"
  description                   = "Spillway: ${each.key}"
  secret_data                   = var.secrets[each.key]
  version_id                    = terraform_data.version[each.key].id
  encryption_key_id             = alicloud_kms_key.this.id
  dkms_instance_id              = var.kms_instance_id
  recovery_window_in_days       = var.recovery_days
  force_delete_without_recovery = !var.deletion_protection
  tags                          = var.tags
}
