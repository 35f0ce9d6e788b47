variable "name" {
  description = "Prefix of every name, such as `spillway-prod`: 3 to 24 lower-case letters, digits and dashes, beginning with a letter."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{2,23}$", var.name))
    error_message = "name must be 3 to 24 lower-case letters, digits and dashes, beginning with a letter."
  }
}

variable "tags" {
  description = "Tags of project and alarms."
  type        = map(string)
  default     = {}
}

variable "region" {
  description = "Region of the project."
  type        = string
}

variable "account_id" {
  description = "Account of the project."
  type        = string
}

variable "log_retention_days" {
  description = "How long logs are kept, days, 3 to 3650."
  type        = number
  default     = 30

  validation {
    condition     = var.log_retention_days >= 3 && var.log_retention_days <= 3650 && floor(var.log_retention_days) == var.log_retention_days
    error_message = "log_retention_days must be 3 to 3650."
  }
}

variable "line_fields" {
  description = "Field that the platform puts a service's whole line into; its members are then indexed beneath it. Empty: the platform takes lines apart, and members are fields. Both defaults are likely: `message` for Function Compute, `content` for what SAE collects."
  type = object({
    function = optional(string, "message")
    worker   = optional(string, "content")
  })
  default = {}

  validation {
    condition     = alltrue([for field in values(var.line_fields) : can(regex("^[A-Za-z_]*$", field))])
    error_message = "line_fields must be names of fields, or empty."
  }
}

variable "contacts" {
  description = "Who is told when something fires."
  type = list(object({
    name  = string
    email = string
  }))

  validation {
    condition     = length(var.contacts) > 0 && alltrue([for contact in var.contacts : can(regex("^[^@\\s]+@[^@\\s]+$", contact.email))])
    error_message = "contacts must name somebody with an e-mail address: an alert that nobody gets is none."
  }
}

variable "action_policy_id" {
  description = "Action policy of Log Service that its alerts are sent by: it is made once in the console, for the provider has no resource for it, and names the same people as `contacts`. `sls.builtin.dynamic` leaves who is told to the console's default (likely)."
  type        = string
  default     = "sls.builtin.dynamic"
}

variable "trail" {
  description = "Record who changed what in the account (ActionTrail). One for an account is enough."
  type        = bool
  default     = true
}

variable "function_name" {
  description = "Name of the function."
  type        = string
}

variable "nat_gateway_id" {
  description = "Id of the NAT gateway."
  type        = string
}

variable "eip_ids" {
  description = "Ids of the elastic addresses, by a name of one's own."
  type        = map(string)
}

variable "rocketmq_instance_id" {
  description = "Id of the broker."
  type        = string
}

variable "consumer_group" {
  description = "Group of the drain, whose lag and dead letters are watched."
  type        = string
  default     = "drain"
}

variable "database_cluster_id" {
  description = "Id of the PolarDB cluster or RDS instance."
  type        = string
}

variable "database_engine" {
  description = "`polardb` or `rds`."
  type        = string
  default     = "polardb"

  validation {
    condition     = contains(["polardb", "rds"], var.database_engine)
    error_message = "database_engine must be polardb or rds."
  }
}

variable "thresholds" {
  description = "When alerts fire. Of five minutes: `failed_percent` answered with 500 and above, once they are more than `failed_requests`, `slow_percent` of requests over 250 ms, `shed_requests` refused for want of room, `strangers` that were not the gateway, `gateway_errors` answered 500 and above at the front door, `lost_leases`. At any time: `broker_messages` that wait (more than the sale leaves, `loadtest plan`), the oldest for `oldest_message_h` hours (twice as long as the sale's last order waits), `nat_connections` of each address, `eip_percent` of its bandwidth, `throttled_calls` and `function_errors` of the function a minute, `database_connection_percent`, `database_cpu_percent`."
  type = object({
    failed_requests             = optional(number, 50)
    failed_percent              = optional(number, 0.1)
    slow_percent                = optional(number, 1)
    shed_requests               = optional(number, 1000)
    strangers                   = optional(number, 100)
    gateway_errors              = optional(number, 50)
    lost_leases                 = optional(number, 3)
    broker_messages             = optional(number, 100000)
    oldest_message_h            = optional(number, 1)
    nat_connections             = optional(number, 40000)
    eip_percent                 = optional(number, 80)
    throttled_calls             = optional(number, 100)
    function_errors             = optional(number, 100)
    database_connection_percent = optional(number, 80)
    database_cpu_percent        = optional(number, 85)
  })
  default = {}

  validation {
    condition     = alltrue([for name, threshold in var.thresholds : threshold > 0])
    error_message = "thresholds must be above 0: at 0 an alert always fires, and nobody looks any more."
  }
}

variable "metrics" {
  description = "Names of CloudMonitor: namespace and metric, which of the statistics that it has, and how often, by what it tells. All are likely: from lists of CloudMonitor's metrics as others publish them, those of Function Compute from the vendor's own. Compare them with the console: an alarm on a name or a statistic that is not there never fires."
  type = map(object({
    namespace = string
    metric    = string
    statistic = string
    period_s  = optional(number, 60)
  }))
  default = {
    broker-lag             = { namespace = "acs_rocketmq", metric = "ConsumerLag", statistic = "Sum" }
    broker-age             = { namespace = "acs_rocketmq", metric = "ConsumerLagLatencyPerGid", statistic = "Maximum" }
    broker-dead-letters    = { namespace = "acs_rocketmq", metric = "SendDLQMessageCountPerGid", statistic = "Sum" }
    nat-sessions           = { namespace = "acs_nat_gateway", metric = "SessionActiveConnection", statistic = "Value" }
    nat-ports              = { namespace = "acs_nat_gateway", metric = "ErrorPortAllocationCount", statistic = "Value" }
    eip-bandwidth          = { namespace = "acs_vpc_eip", metric = "net_out.rate_percentage", statistic = "Average" }
    function-reserved      = { namespace = "acs_fc", metric = "FunctionConcurrencyThrottles", statistic = "Value" }
    function-quota         = { namespace = "acs_fc", metric = "FunctionResourceThrottles", statistic = "Value" }
    function-errors        = { namespace = "acs_fc", metric = "FunctionFunctionErrors", statistic = "Value" }
    function-server-errors = { namespace = "acs_fc", metric = "FunctionServerErrors", statistic = "Value" }
    polardb-connections    = { namespace = "acs_polardb", metric = "cluster_connection_utilization", statistic = "Maximum" }
    polardb-cpu            = { namespace = "acs_polardb", metric = "cluster_cpu_utilization", statistic = "Average" }
    rds-connections        = { namespace = "acs_rds_dashboard", metric = "ConnectionUsage", statistic = "Maximum", period_s = 300 }
    rds-cpu                = { namespace = "acs_rds_dashboard", metric = "CpuUsage", statistic = "Maximum", period_s = 300 }
  }
}
