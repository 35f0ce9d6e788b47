output "backend" {
  description = "Arguments for `terraform init` of infra/platform; replace NAME by the environment's name."
  value = join(" ", [
    for setting in [
      "bucket=${alicloud_oss_bucket.state.bucket}", "prefix=spillway/NAME", "region=${var.region}",
      "tablestore_endpoint=https://${alicloud_ots_instance.lock.name}.${var.region}.ots.aliyuncs.com",
      "tablestore_table=${alicloud_ots_table.lock.table_name}",
    ] : "-backend-config=${setting}"
  ])
}
