output "backend" {
  description = "What `terraform init` of the other roots is given; put the root's name in the place of NAME."
  value       = "-backend-config=bucket=${alicloud_oss_bucket.state.bucket} -backend-config=prefix=spillway/NAME -backend-config=region=${var.region}"
}
