variable "name" {
  description = "Prefix of every name, such as `spillway-prod`; the root checks it."
  type        = string
}

variable "tags" {
  description = "Tags of the function."
  type        = map(string)
  default     = {}
}

variable "resource_group_id" {
  description = "Resource group of all resources that have one."
  type        = string
}

variable "image" {
  description = "ingest-fn's image with its catalogue, by digest: `…/ingest-fn@sha256:…`. A tag can change between plan and start. The tag of `build-and-push`, `<commit>-<catalogue>`, is immutable; use it if the platform accepts no digest."
  type        = string

  validation {
    condition     = can(regex("^[a-z0-9][a-z0-9.:/_-]*(@sha256:[0-9a-f]{64}|:[0-9a-f]{12}-[0-9a-f]{12})$", var.image))
    error_message = "image must be given by digest, …@sha256: and 64 hexadecimal digits, or by the tag that infra/deploy/build-and-push gives, …:<commit>-<catalogue>."
  }
}

variable "size" {
  description = "Size of the function, as in the platform's `function`: `cpu`, vCPU of an instance, in steps of 0.05 (ingest-fn runs one worker thread for each); `memory_mb` in steps of 64, 1 to 4 GB for each vCPU; `concurrency`, requests of an instance; `reserved_concurrency`, maximum instances, including provisioned ones (the account's quota, 100 or 300 by region, applies first); `warm_lead_min`, minutes before a sale at which its instances start, 5 to 120; `always_allocate_cpu`, give idle provisioned instances CPU, billed as active, which ingest-fn does not need."
  type = object({
    cpu                  = number
    memory_mb            = number
    concurrency          = number
    reserved_concurrency = number
    warm_lead_min        = number
    always_allocate_cpu  = bool
  })

  validation {
    condition     = abs(var.size.cpu * 20 - floor(var.size.cpu * 20 + 0.5)) < 0.000001 && var.size.memory_mb % 64 == 0
    error_message = "cpu must be in steps of 0.05, memory_mb in steps of 64."
  }
  validation {
    condition     = var.size.memory_mb / 1024 >= var.size.cpu && var.size.memory_mb / 1024 <= 4 * var.size.cpu
    error_message = "memory_mb must be 1 to 4 GB for each vCPU: the platform rejects other pairs."
  }
  validation {
    condition     = var.size.warm_lead_min >= 5 && var.size.warm_lead_min <= 120 && floor(var.size.warm_lead_min) == var.size.warm_lead_min
    error_message = "warm_lead_min must be a whole number of minutes, 5 to 120: the platform starts 100 to 300 instances a minute."
  }
}

variable "environment" {
  description = "Environment of ingest-fn: `SPILLWAY_…`, including secrets; never a database address. The module sets `SPILLWAY_INGEST_LISTEN`. The environment is in the state and in the function's configuration."
  type        = map(string)
  sensitive   = true

  validation {
    condition = alltrue([
      for key, value in var.environment :
      !can(regex("(?i)(database|mysql|polardb|jdbc|postgres|_db(_|$)|^db_)", key)) && !can(regex("(?i)(mysql|mariadb|postgres(ql)?|sqlite|jdbc)[a-z+]*:", value))
    ])
    error_message = "environment must not contain a database address: the function must not connect to the database."
  }
  validation {
    condition     = !contains(keys(var.environment), "SPILLWAY_INSECURE_DEV")
    error_message = "environment must not contain SPILLWAY_INSECURE_DEV: with it any client can order in any buyer's name."
  }
  validation {
    condition     = !contains(keys(var.environment), "SPILLWAY_IDENTITY_HEADER") || contains(keys(var.environment), "SPILLWAY_GATEWAY_SECRETS")
    error_message = "environment must contain SPILLWAY_GATEWAY_SECRETS with SPILLWAY_IDENTITY_HEADER: any client can forge an unsigned header."
  }
  validation {
    condition     = contains(keys(var.environment), "SPILLWAY_GATEWAY_SECRETS") || lookup(var.environment, "SPILLWAY_GATEWAY_AUTH", "") == "function"
    error_message = "environment must configure authentication: SPILLWAY_GATEWAY_SECRETS, or SPILLWAY_GATEWAY_AUTH=function."
  }
}

variable "role_arn" {
  description = "Role of the function: writes its log and pulls its image."
  type        = string
}

variable "vpc" {
  description = "VPC of the function's network interface: the broker has no public endpoint. It adds about 0.5 to 1.5 s to a cold start under a burst (by the article; not measured here); warm instances avoid that."
  type = object({
    vpc_id            = string
    vswitch_ids       = list(string)
    security_group_id = string
  })

  validation {
    condition     = length(var.vpc.vswitch_ids) >= 2
    error_message = "vpc must have vSwitches in at least two zones."
  }
}

variable "log" {
  description = "Log Service project and logstore of the function."
  type = object({
    project  = string
    logstore = string
  })
}

variable "trigger_auth" {
  description = "Authentication of the HTTP trigger: `function` (callers with `fc:InvokeFunction`, which the gateway's role has) or `anonymous` (any caller; then ingest-fn's check of the gateway's signature is the only one). `anonymous` is for the gateway's HTTP backend, which does not sign as the platform requires."
  type        = string
  default     = "function"
  validation {
    condition     = var.trigger_auth == "function" || contains(keys(var.environment), "SPILLWAY_GATEWAY_SECRETS")
    error_message = "trigger_auth may be anonymous only if ingest-fn checks the gateway's signature (SPILLWAY_GATEWAY_SECRETS)."
  }
}

variable "sale_windows" {
  description = "Sales in local time of `time_zone`: name, `opens_at` and `closes_at` such as `2026-11-11T12:00:00` (without a zone), and the number of warm instances (`loadtest plan`). Empty: no warm instances. Remove a sale when it is over."
  type = list(object({
    name      = string
    opens_at  = string
    closes_at = string
    instances = number
  }))
  default = []
  validation {
    condition     = length(distinct([for window in var.sale_windows : window.name])) == length(var.sale_windows)
    error_message = "sales must have different names."
  }
  validation {
    condition = alltrue([
      for window in var.sale_windows : alltrue([
        for at in [window.opens_at, window.closes_at] :
        can(regex("^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}$", at)) && can(timeadd("${at}Z", "0s"))
      ])
    ])
    error_message = "opens_at and closes_at must be like 2026-11-11T12:00:00, without a zone: time_zone sets the zone."
  }
  validation {
    condition     = alltrue([for window in var.sale_windows : try(timecmp("${window.opens_at}Z", "${window.closes_at}Z") < 0, true)])
    error_message = "a sale must open before it closes."
  }
  validation {
    condition     = alltrue([for window in var.sale_windows : try(timecmp(timeadd("${window.opens_at}Z", "720h"), "${window.closes_at}Z") >= 0, true)])
    error_message = "a sale must end within 30 days: its actions name day and month and would fire again after a year."
  }
  validation {
    condition = alltrue([
      for window in var.sale_windows :
      window.instances >= 1 && floor(window.instances) == window.instances && window.instances <= var.size.reserved_concurrency
    ])
    error_message = "instances must be a whole number from 1 to reserved_concurrency: the platform starts no more."
  }
  validation {
    condition = alltrue(flatten([
      for i, one in var.sale_windows : [
        for j, other in var.sale_windows : i >= j || try(
          timecmp(timeadd("${one.closes_at}Z", "${local.cool_delay_min}m"), timeadd("${other.opens_at}Z", "-${var.size.warm_lead_min}m")) <= 0 ||
          timecmp(timeadd("${other.closes_at}Z", "${local.cool_delay_min}m"), timeadd("${one.opens_at}Z", "-${var.size.warm_lead_min}m")) <= 0,
          true,
        )
      ]
    ]))
    error_message = "sales must not overlap, including warming and cooling: the end of one would stop the instances of the other. Merge them."
  }
}

variable "time_zone" {
  description = "Time zone of the sales, such as `Asia/Shanghai`; or `UTC`. A lead over a change to or from summer time is off by an hour: use a longer lead."
  type        = string
  default     = "Asia/Shanghai"

  validation {
    condition     = var.time_zone == "UTC" || can(regex("^[A-Z][A-Za-z_]+/[A-Z][A-Za-z_/-]+$", var.time_zone))
    error_message = "time_zone must be UTC or like Asia/Shanghai."
  }
}

variable "catalogue" {
  description = "Folder of a bucket with the catalogue `sales.toml`, mounted read-only: `bucket`; `folder`, an absolute path that exists as an object with a slash at its end; `endpoint`, the region's internal one. Null: the catalogue is in the image, and a change is a release."
  type = object({
    bucket   = string
    folder   = string
    endpoint = string
  })
  default = null

  validation {
    condition     = var.catalogue == null || try(can(regex("^/[a-zA-Z0-9/_-]*[a-zA-Z0-9_-]$", var.catalogue.folder)), false)
    error_message = "catalogue.folder must be an absolute path to a folder of its own, such as /catalogue: the function could read the whole bucket otherwise."
  }
  validation {
    condition     = var.catalogue == null || try(can(regex("^https?://oss-[a-z0-9-]+-internal\\.aliyuncs\\.com$", var.catalogue.endpoint)), false)
    error_message = "catalogue.endpoint must be the region's internal one, such as http://oss-cn-hangzhou-internal.aliyuncs.com."
  }
}
