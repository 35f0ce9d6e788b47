variable "name" {
  description = "Prefix of every name, such as `spillway-prod`: 3 to 24 lower-case letters, digits and dashes, beginning with a letter and not ending with a dash."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,22}[a-z0-9]$", var.name))
    error_message = "name must be 3 to 24 lower-case letters, digits and dashes, beginning with a letter and not ending with a dash."
  }
  # The API's page of CreateSecretParameter.
  validation {
    condition     = !can(regex("^(aliyun|acs|alibaba|alicloud|oos)", var.name))
    error_message = "name must not begin with aliyun, acs, alibaba, alicloud or oos: the platform reserves these."
  }
}

variable "account_name" {
  description = "Name of the account's root (`name` of infra/account), whose registry this environment uses."
  type        = string
  default     = "spillway"
}

variable "workers" {
  description = "Make the workers and the gateway. False for the first apply alone: they need the schema, which `infra/deploy/migrate` makes between the two applies. `infra/deploy/apply-by-hand` rejects false once there are workers."
  type        = bool
  default     = true
}

variable "region" {
  description = "Region, such as `cn-hangzhou`; its quotas must suffice for the sale, see infra/README.md."
  type        = string
}

variable "records_region" {
  description = "Region of the account's users, groups and action policies of Log Service; see the alert-recipients module."
  type        = string
  default     = "cn-heyuan"
}

variable "tags" {
  description = "Tags of all resources that support tags."
  type        = map(string)
  default     = {}
}

variable "subnets" {
  description = "For each zone, at least two: the ranges of functions, workers and data. Data ranges must be within 10.0.2.0/24, the data range of the security groups."
  type = list(object({
    zone          = string
    function_cidr = string
    worker_cidr   = string
    data_cidr     = string
  }))
}

variable "ingest_image" {
  description = "ingest-fn's image by digest, `…@sha256:…`, or by the tag of `build-and-push`. An apply sets it on the version LATEST, which gets no requests; the first apply publishes it for the alias, later the deployment does."
  type        = string
}

variable "worker_image" {
  description = "drain-worker's image, in the same form. Terraform uses it at the first apply; afterwards the deployment sets it, and Terraform ignores it."
  type        = string
}

variable "catalogue_path" {
  description = "Path of the catalogue in both images; the deployment adds it as a layer."
  type        = string
  default     = "/sales.toml"
}

variable "catalogue" {
  description = "Folder of a bucket with the function's catalogue `sales.toml`: `bucket`, `folder`, `endpoint`, see `modules/function`. Null: the catalogue is in the image. The workers' catalogue is always in their image."
  type = object({
    bucket   = string
    folder   = string
    endpoint = string
  })
  default = null
}

variable "sale_windows" {
  description = "Sales in local time of `time_zone`: start, end, and number of warm instances (`loadtest plan`). Instances start `warm_lead_min` before a sale and stop after it."
  type = list(object({
    name      = string
    opens_at  = string
    closes_at = string
    instances = number
  }))
  default = []
}

variable "time_zone" {
  description = "Time zone of `sale_windows`, such as `Asia/Shanghai`."
  type        = string
  default     = "Asia/Shanghai"
}

variable "function" {
  description = "Size of the function (`loadtest plan`): `cpu` in vCPU, `memory_mb`, `concurrency` in requests of an instance, `reserved_concurrency` in maximum instances, `warm_lead_min` in minutes."
  type = object({
    cpu                  = number
    memory_mb            = number
    concurrency          = optional(number, 100)
    reserved_concurrency = number
    warm_lead_min        = optional(number, 10)
    always_allocate_cpu  = optional(bool, false)
  })
}

variable "worker" {
  description = "The worker pool: number of workers, thousandths of a core and MB of each; `initial_rate`, the cap in a new database, orders a second (a change rolls the workers and does not change an existing cap); `receive_tps_max`, the broker's limit in messages a second, by default twice `initial_rate`: raise it before operators raise the cap above it."
  type = object({
    replicas        = optional(number, 4)
    cpu_millicores  = optional(number, 1000)
    memory_mb       = optional(number, 2048)
    initial_rate    = optional(number, 2000)
    receive_tps_max = optional(number)
  })
}

variable "broker" {
  description = "RocketMQ: series, sub-series, class (`loadtest plan`), and retention of messages, hours (in the workers' environment, so a change rolls them); `storage_key_id`: KMS key of its storage, with the series `ultimate` alone."
  type = object({
    series         = optional(string, "standard")
    sub_series     = optional(string, "serverless")
    spec           = string
    retention_h    = optional(number, 72)
    storage_key_id = optional(string)
  })
}

variable "database" {
  description = "The database: class and number of nodes, days of backup; `connections_max` of the class, required for a class that is not in the table of the database's module."
  type = object({
    node_class      = string
    node_count      = optional(number, 2)
    connections_max = optional(number)
    backup_days     = optional(number, 7)
  })
}

variable "gateway" {
  description = "The gateway: a dedicated instance or null; `backend` (`fc` or `http`); `anonymous`: allow `jwk` to be null; requests a second of orders and lookups; `log`: log calls. A region of an account has one destination for this log: of two environments in a region, only one can have it."
  type = object({
    instance           = optional(object({ spec = string, zone_id = string }))
    backend            = optional(string, "fc")
    anonymous          = optional(bool, false)
    orders_per_second  = number
    lookups_per_second = number
    log                = optional(bool, true)
  })
}

variable "runner" {
  description = "The deployment's runner, a machine in the operators' vSwitch (`modules/runner`): the repository whose jobs it serves, versions and SHA-256 of GitHub's runner and the vendor's CLI. It needs `secrets.runner_github_token`. Null: none, and a machine of your own."
  type = object({
    github        = object({ repository = string, runner_group_id = optional(number, 1) })
    runner        = object({ version = string, sha256 = string })
    cli           = object({ version = string, sha256 = string })
    instance_type = optional(string)
  })
  default = null

  validation {
    condition     = var.runner == null || var.secrets.runner_github_token != null
    error_message = "runner needs secrets.runner_github_token, with which the machine registers for jobs."
  }
}

variable "jwk" {
  description = "Public RSA key of tokens: `kty`, `n`, `e`. Null only with `gateway.anonymous`."
  type        = map(string)
  default     = null
}

variable "domain" {
  description = "Domain of the API, and its zone if Alibaba Cloud DNS manages it; `front`: host that its CNAME names instead of the gateway (infra/README.md). Null: the gateway's own, which accepts 1,000 calls a day."
  type = object({
    name  = string
    zone  = optional(string)
    front = optional(string)
  })
  default = null
}

variable "nat" {
  description = "NAT gateway: number of addresses, and Mbit/s of each."
  type = object({
    eip_count      = optional(number, 1)
    bandwidth_mbps = optional(number, 10)
  })
  default = {}
}

variable "operator_cidr" {
  description = "Range of the vSwitch for the deployment's runner and operators' machines; see `operator_cidr` of the network module."
  type        = string
  default     = "10.0.5.0/24"
  nullable    = false
}

variable "webhook_cidrs" {
  description = "Ranges that workers may call on port 443; see `webhook_cidrs` of the network module. If empty, only operators have egress to the internet."
  type        = list(string)
  default     = []
}

variable "alerts" {
  description = "Thresholds of the broker's alarms: `broker_messages` waiting, age of the oldest message `oldest_message_h` in hours. Use `loadtest plan`: above the backlog of the sale, and twice the longest wait of an order; at most half of the broker's retention."
  type = object({
    broker_messages  = optional(number, 100000)
    oldest_message_h = optional(number, 1)
  })
  default = {}

  validation {
    condition     = var.alerts.oldest_message_h <= var.broker.retention_h / 2
    error_message = "alerts.oldest_message_h must be at most half of broker.retention_h: after the retention the broker drops accepted orders."
  }
}

variable "operator_peer_cidrs" {
  description = "Private networks joined to the VPC from which operators reach the workers' admin port and a shell in the operators' vSwitch, and nothing else."
  type        = list(string)
  default     = []
}

variable "deletion_protection" {
  description = "Protect database, elastic addresses and the lookups' load balancer against deletion. Set it to false and apply before `terraform destroy`."
  type        = bool
  default     = true
}

variable "remedies" {
  description = "What to change if an unknown of the platform turns out otherwise; each module's page says when. `log_line_fields`, `cloud_metrics`: where log lines are stored, and names of CloudMonitor's metrics (observability). `acl_types`: users of the broker (rocketmq). `worker_endpoint`, `proxy`: the workers' way to the database (database). `load_balancer_edition` (worker). `identity_parameter`, `throttle_by_buyer`, `body_bytes_max` (gateway)."
  type = object({
    log_line_fields       = optional(object({ function = optional(string, "message"), worker = optional(string, "content") }))
    cloud_metrics         = optional(map(object({ namespace = string, metric = string, statistic = string, period_s = optional(number, 60) })))
    acl_types             = optional(list(string))
    worker_endpoint       = optional(string)
    proxy                 = optional(object({ pooling = optional(string, "Off"), class = optional(string), type = optional(string) }))
    load_balancer_edition = optional(string)
    identity_parameter    = optional(bool)
    throttle_by_buyer     = optional(string)
    body_bytes_max        = optional(number, 16384)
  })
  default  = {}
  nullable = false
}

variable "contacts" {
  description = "Recipients of alerts."
  type = list(object({
    name  = string
    email = string
  }))

  validation {
    condition     = length(var.contacts) > 0
    error_message = "contacts must have at least one entry: without a recipient an alert has no effect."
  }
}

variable "log_retention_days" {
  description = "Retention of logs, days."
  type        = number
  default     = 30
}

variable "secrets" {
  description = <<-EOT
    All secrets, at least 8 characters each. Set them by the environment (`TF_VAR_secrets`), never in a file of the repository:
    `broker_function`: name and password of the function's account at the broker (`name=password[,name=password]` during a rotation: the next release uses the first; names of 1 to 16 lower-case letters and digits); `broker_worker`: password of the workers' account; `database_worker`, `database_migrator`, `database_tune`: passwords of the database's accounts; `gateway`: name and secret of the backend signature (`name=secret[,name=secret…]` during a rotation: the gateway signs with the first); `admin_token`: bearer token of the drain's control API; `admin_read_token`: the same for reading alone, or null; `runner_github_token`: GitHub's token of the runner, or null; `lag_key`: `ID:SECRET` of a RAM user that may only read the drain's lag (drain-worker/README.md has the policy), or null: the workers do not know the lag; `order_id_keys`: ingest-fn's `name=hex[,…]`.
  EOT
  type = object({
    broker_function     = string
    broker_worker       = string
    database_worker     = string
    database_migrator   = string
    database_tune       = string
    gateway             = string
    admin_token         = string
    admin_read_token    = optional(string)
    runner_github_token = optional(string)
    lag_key             = optional(string)
    order_id_keys       = string
  })
  sensitive = true

  validation {
    condition     = alltrue([for entry in split(",", var.secrets.broker_function) : can(regex("^[a-z0-9]{1,16}=.{8,128}$", entry))])
    error_message = "secrets.broker_function must be name=password[,name=password]."
  }
  validation {
    condition     = length(distinct([for entry in split(",", var.secrets.broker_function) : split("=", entry)[0]])) == length(split(",", var.secrets.broker_function))
    error_message = "secrets.broker_function must have different names: the live version uses one account, the next version the other."
  }
  validation {
    condition     = alltrue([for entry in split(",", var.secrets.gateway) : can(regex("^[A-Za-z0-9_-]+=.{8,}$", entry))])
    error_message = "secrets.gateway must be name=secret[,name=secret…]."
  }
  validation {
    condition     = alltrue([for entry in split(",", var.secrets.order_id_keys) : can(regex("^[A-Za-z0-9_-]+=[0-9a-fA-F]{64,}$", entry))])
    error_message = "secrets.order_id_keys must be name=hex[,name=hex…], at least 64 hexadecimal digits each."
  }
  validation {
    condition     = length(var.secrets.admin_token) >= 16 && (var.secrets.admin_read_token == null || try(length(var.secrets.admin_read_token) >= 16 && var.secrets.admin_read_token != var.secrets.admin_token, false))
    error_message = "secrets.admin_token and admin_read_token must have at least 16 characters each, and differ."
  }
  validation {
    condition     = var.secrets.lag_key == null || can(regex("^[!-9;-~]+:[!-~]{8,}$", var.secrets.lag_key))
    error_message = "secrets.lag_key must be ID:SECRET of an access key."
  }
}
