# Saved queries. The provider has no resource for Log Service's own, so they are the dashboard's charts, and those that
# must not wait for somebody to look are alerts. Fields are in double quotes, values in single ones or after a colon.

locals {
  # Of five minutes and each instance: how many requests there were, and how many took 250 ms at most. Counts are totals
  # since an instance began, so the difference of greatest and least is what came meanwhile; an instance's first line is
  # its beginning, and is lost.
  by_instance = <<-SQL
    select "instance",
      max(cast(json_extract_scalar("metrics", '$.histograms.ingest_request_seconds.count') as double)) -
        min(cast(json_extract_scalar("metrics", '$.histograms.ingest_request_seconds.count') as double)) as total,
      max(cast(json_extract_scalar("metrics", '$["histograms"]["ingest_request_seconds"]["buckets"]["0.25"]') as double)) -
        min(cast(json_extract_scalar("metrics", '$["histograms"]["ingest_request_seconds"]["buckets"]["0.25"]') as double)) as quick
    from log group by "instance"
  SQL

  queries = {
    errors-grouped = {
      store = "function", title = "Errors by request and message", type = "table"
      query = "level: ERROR | select \"requestId\", \"errorMessage\", \"errorCode\", count(*) as times group by \"requestId\", \"errorMessage\", \"errorCode\" order by times desc limit 100"
    }
    errors-by-code = {
      store = "function", title = "Errors by code, a minute", type = "line"
      query = "level: ERROR | select date_trunc('minute', __time__) as t, \"errorCode\", count(*) as times group by t, \"errorCode\" order by t limit 10000"
    }
    slow-percent = {
      store = "function", title = "Requests over 250 ms, percent", type = "number"
      query = "message: metrics | select sum(total - quick) * 100.0 / sum(total) as slow_percent from (${local.by_instance})"
    }
    shed = {
      store = "function", title = "Requests shed, a minute", type = "line"
      query = "message: \"requests shed\" | select date_trunc('minute', __time__) as t, sum(\"requests\") as shed group by t order by t limit 10000"
    }
    worker-errors = {
      store = "worker", title = "The drain's errors by message", type = "table"
      query = "level: ERROR | select \"errorMessage\", \"errorCode\", max(\"reason\") as reason, count(*) as times group by \"errorMessage\", \"errorCode\" order by times desc limit 100"
    }
    dead-letters-by-reason = {
      store = "worker", title = "Dead letters by reason", type = "table"
      query = "outcome: dead_lettered | select \"reason\", sum(coalesce(\"orders\", 1)) as letters group by \"reason\" order by letters desc limit 100"
    }
    leases = {
      store = "worker", title = "Leases lost, and workers that lapsed", type = "table"
      query = "message: \"lease is gone\" or message: \"a worker lapsed\" | select \"message\", \"worker\", \"fault\", count(*) as times group by \"message\", \"worker\", \"fault\" limit 100"
    }
    look-ups-refused = {
      store = "worker", title = "Look-ups that were not the gateway's", type = "line"
      query = "message: \"look-ups refused\" | select date_trunc('minute', __time__) as t, sum(\"requests\") as refused group by t order by t limit 10000"
    }
    refused-flows = {
      store = "flow", title = "Connections refused in the VPC", type = "table"
      query = "action: REJECT | select \"srcaddr\", \"dstaddr\", \"dstport\", count(*) as times group by \"srcaddr\", \"dstaddr\", \"dstport\" order by times desc limit 100"
    }
  }
}
