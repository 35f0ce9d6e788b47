# Records every write call in every region. The trail makes its own logstore in the project,
# actiontrail_NAME, with an index, a dashboard and no expiry (certain: vendor documentation).
resource "alicloud_actiontrail_trail" "this" {
  count = var.trail ? 1 : 0

  trail_name      = var.name
  event_rw        = "Write"
  trail_region    = "All"
  sls_project_arn = "acs:log:${var.region}:${var.account_id}:project/${alicloud_log_project.this.project_name}"
  status          = "Enable"
}
