output "key_id" {
  description = "Id of the key for what is stored."
  value       = alicloud_kms_key.this.id
}

output "secret_versions" {
  description = "Which version of each secret the environment has: a name made up for each value, which tells nothing of it."
  value       = { for key, secret in alicloud_kms_secret.this : key => secret.version_id }
}

output "secret_names" {
  description = "Names of the secrets in KMS, by the names they were given. No values: an output is shown, and kept, wherever Terraform runs."
  value       = { for key, secret in alicloud_kms_secret.this : key => secret.secret_name }
}

output "deletion_protected" {
  description = "Whether deleting the key is refused."
  value       = alicloud_kms_key.this.deletion_protection == "Enabled"
}
