output "key_id" {
  description = "Id of the key for what is stored."
  value       = alicloud_kms_key.this.id
}

output "secret_names" {
  description = "Names of the secrets in KMS, by the names they were given. No values: an output is shown, and kept, wherever Terraform runs."
  value       = { for key, secret in alicloud_kms_secret.this : key => secret.secret_name }
}
