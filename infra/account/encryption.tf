# PolarDB encrypts with a key of KMS, which it uses by this role. Name, trust and policy are the vendor's (certain: "Authorize a
# PolarDB cluster to access KMS", 2026-03; the provider's page of alicloud_polardb_cluster). Without it no cluster with TDE is made.
resource "alicloud_ram_role" "encryption" {
  count = var.encryption_role ? 1 : 0

  role_name   = "AliyunRDSInstanceEncryptionDefaultRole"
  description = "PolarDB and RDS: keys of KMS for encrypted data"
  assume_role_policy_document = jsonencode({
    Version   = "1"
    Statement = [{ Effect = "Allow", Action = "sts:AssumeRole", Principal = { Service = ["rds.aliyuncs.com"] } }]
  })
  tags = var.tags
}

resource "alicloud_ram_role_policy_attachment" "encryption" {
  count = var.encryption_role ? 1 : 0

  role_name   = alicloud_ram_role.encryption[0].role_name
  policy_name = "AliyunRDSInstanceEncryptionRolePolicy"
  policy_type = "System"
}
