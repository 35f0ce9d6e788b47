locals {
  # Two charts a row, in the order of the queries' names.
  charts = [
    for place, name in sort(keys(local.queries)) : {
      title = name
      type  = local.queries[name].type
      search = {
        logstore = local.queries[name].store
        topic    = ""
        query    = local.queries[name].query
        start    = "-3600s"
        end      = "now"
      }
      display = {
        xPos        = 10 * (place % 2)
        yPos        = 6 * floor(place / 2)
        width       = 10
        height      = 6
        displayName = local.queries[name].title
        xAxis       = local.queries[name].type == "line" ? ["t"] : []
      }
    }
  ]
}

resource "alicloud_log_dashboard" "this" {
  project_name   = alicloud_log_project.this.project_name
  dashboard_name = var.name
  display_name   = "Spillway: ${var.name}"
  char_list      = jsonencode(local.charts)

  # Charts query indexed fields, so the indexes come first. Alerts link to this dashboard.
  depends_on = [alicloud_log_store_index.this]
}
