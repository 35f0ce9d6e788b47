# Saved queries. The provider has no resource for Log Service's saved searches, so they are the dashboard's charts.
# Fields are in double quotes, values in single quotes or after a colon. `local.f` and `local.w` have the names that the fields of
# the function's and the workers' lines have in their logstores. After a colon, the words of a text in double quotes must all be
# in the value, in any order; a phrase (#"…") cannot be used in SQL (certain: vendor documentation of phrase search).

locals {
  # For each instance: requests, and requests within 250 ms. Counters are totals since the instance started, so the
  # difference of maximum and minimum is the count within the window. Requests before an instance's first line are
  # not counted.
  by_instance = <<-SQL
    select "${local.f.instance}",
      max(cast(json_extract_scalar(${local.metrics}.histograms.ingest_request_duration_seconds.count') as double)) -
        min(cast(json_extract_scalar(${local.metrics}.histograms.ingest_request_duration_seconds.count') as double)) as total,
      max(cast(json_extract_scalar(${local.metrics}.histograms.ingest_request_duration_seconds.buckets["0.25"]') as double)) -
        min(cast(json_extract_scalar(${local.metrics}.histograms.ingest_request_duration_seconds.buckets["0.25"]') as double)) as quick
    from log group by "${local.f.instance}"
  SQL

  # The same by histogram bound: requests within the bound, and all requests.
  by_bound = <<-SQL
    select bound, sum(samples) as quick, sum(total) as total from (
      select "${local.f.instance}", bound, max(value) - min(value) as samples, max(requests) - min(requests) as total from (
        select "${local.f.instance}", cast(name as double) as bound, value,
          cast(json_extract_scalar(${local.metrics}.histograms.ingest_request_duration_seconds.count') as double) as requests
        from log cross join unnest(cast(json_extract(${local.metrics}.histograms.ingest_request_duration_seconds.buckets') as map(varchar, double))) as t(name, value)
      ) group by "${local.f.instance}", bound
    ) group by bound
  SQL

  by_counter = <<-SQL
    select "${local.f.instance}", name, max(value) - min(value) as times from (
      select "${local.f.instance}", name, value
      from log cross join unnest(cast(json_extract(${local.metrics}.counters') as map(varchar, double))) as t(name, value)
    ) group by "${local.f.instance}", name
  SQL

  queries = {
    errors-grouped = {
      store = "function", title = "Errors by request and message", type = "table"
      query = "${local.f.level}: ERROR | select \"${local.f.requestId}\", \"${local.f.errorMessage}\", \"${local.f.errorCode}\", count(*) as times group by \"${local.f.requestId}\", \"${local.f.errorMessage}\", \"${local.f.errorCode}\" order by times desc limit 100"
    }
    errors-by-code = {
      store = "function", title = "Errors by code, a minute", type = "line"
      query = "${local.f.level}: ERROR | select date_trunc('minute', __time__) as t, \"${local.f.errorCode}\", count(*) as times group by t, \"${local.f.errorCode}\" order by t limit 10000"
    }
    slow-percent = {
      store = "function", title = "Requests over 250 ms, percent", type = "number"
      query = "${local.f.event}: metrics | select sum(total - quick) * 100.0 / sum(total) as slow_percent from (${local.by_instance})"
    }
    p99 = {
      store = "function", title = "p99, ms: lowest bound that 99 % of requests meet; none: over 10 s", type = "number"
      query = "${local.f.event}: metrics | select min(bound) * 1000 as p99_ms from (${local.by_bound}) where total > 0 and quick >= total * 0.99"
    }
    answers = {
      store = "function", title = "Responses: accepted, and rejected by code", type = "table"
      query = "${local.f.event}: metrics | select name, sum(times) as answers from (${local.by_counter}) where name like 'ingest_orders_accepted%' or name like 'ingest_requests_rejected%' group by name order by answers desc limit 100"
    }
    shed = {
      store = "function", title = "Requests shed, a minute", type = "line"
      query = "${local.f.event}: requests_shed | select date_trunc('minute', __time__) as t, sum(\"${local.f.requests}\") as shed group by t order by t limit 10000"
    }
    worker-errors = {
      store = "worker", title = "The drain's errors by message", type = "table"
      query = "${local.w.level}: ERROR | select \"${local.w.errorMessage}\", \"${local.w.errorCode}\", max(\"${local.w.reason}\") as reason, count(*) as times group by \"${local.w.errorMessage}\", \"${local.w.errorCode}\" order by times desc limit 100"
    }
    dead-letters-by-reason = {
      store = "worker", title = "Dead letters by reason", type = "table"
      query = "${local.w.outcome}: dead_lettered | select \"${local.w.reason}\", sum(coalesce(\"${local.w.orders}\", 1)) as letters group by \"${local.w.reason}\" order by letters desc limit 100"
    }
    drain = {
      store = "worker", title = "The drain: cap, committed orders a second, waiting messages", type = "line"
      query = "${local.w.event}: pool_status | select date_trunc('minute', __time__) as t, max(\"${local.w.cap}\") as cap, max(\"${local.w.committed_per_second}\") as committed, max(\"${local.w.messages_waiting}\") as waiting group by t order by t limit 10000"
    }
    leases = {
      store = "worker", title = "Leases lost and leases expired", type = "table"
      query = "${local.w.event}: lease_lost or ${local.w.event}: lease_expired | select \"${local.w.event}\", \"${local.w.worker}\", \"${local.w.fault}\", count(*) as times group by \"${local.w.event}\", \"${local.w.worker}\", \"${local.w.fault}\" limit 100"
    }
    look-ups-refused = {
      store = "worker", title = "Unauthenticated lookups", type = "line"
      query = "${local.w.event}: lookups_unauthenticated | select date_trunc('minute', __time__) as t, sum(\"${local.w.requests}\") as refused group by t order by t limit 10000"
    }
    refused-flows = {
      store = "flow", title = "Connections rejected in the VPC", type = "table"
      query = "action: REJECT | select \"srcaddr\", \"dstaddr\", \"dstport\", count(*) as times group by \"srcaddr\", \"dstaddr\", \"dstport\" order by times desc limit 100"
    }
  }
}
