output "key_id" {
  description = "Id of the KMS key."
  value       = alicloud_kms_key.this.id
}

output "secret_versions" {
  description = "Version of each secret: a generated name that reveals nothing about the value."
  value       = { for key, secret in alicloud_kms_secret.this : key => secret.version_id }
}

output "secret_names" {
  description = "Names of the secrets in KMS, by their names in `secrets`. No values: Terraform prints and stores outputs."
  value       = { for key, secret in alicloud_kms_secret.this : key => secret.secret_name }
}

output "deletion_protected" {
  description = "True if the key is protected against deletion."
  value       = alicloud_kms_key.this.deletion_protection == "Enabled"
}
