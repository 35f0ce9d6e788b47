output "backend" {
  description = "Arguments for `terraform init` of the other roots; replace NAME by the root's name."
  value       = "-backend-config=bucket=${alicloud_oss_bucket.state.bucket} -backend-config=prefix=spillway/NAME -backend-config=region=${var.region}"
}
