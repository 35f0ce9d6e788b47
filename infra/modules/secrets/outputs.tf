output "secret_names" {
  description = "Names of the parameters, by their names in `secrets`. No values: Terraform prints and stores outputs."
  value       = { for key, secret in alicloud_oos_secret_parameter.this : key => secret.secret_parameter_name }
}
