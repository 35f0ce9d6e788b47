variable "name" {
  description = "Prefix of every name, such as `spillway-prod`; the root checks it."
  type        = string
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
  description = "Retention of the logs, days, 3 to 3650."
  type        = number
  default     = 30

  validation {
    condition     = var.log_retention_days >= 3 && var.log_retention_days <= 3650 && floor(var.log_retention_days) == var.log_retention_days
    error_message = "log_retention_days must be 3 to 3650."
  }
}

variable "line_fields" {
  description = "Field in which the platform stores a service's whole line; its members are indexed below it. Empty: the platform parses lines, and members are fields. Both defaults are likely: `message` for Function Compute, `content` for SAE."
  type = object({
    function = optional(string, "message")
    worker   = optional(string, "content")
  })
  nullable = false
  default  = {}

  validation {
    condition     = alltrue([for field in values(var.line_fields) : can(regex("^[A-Za-z_]*$", field))])
    error_message = "line_fields must be names of fields, or empty."
  }
}

variable "contacts" {
  description = "Recipients of alarms."
  type = list(object({
    name  = string
    email = string
  }))

  validation {
    condition     = length(var.contacts) > 0 && alltrue([for contact in var.contacts : can(regex("^[^@\\s]+@[^@\\s]+$", contact.email))])
    error_message = "contacts must have at least one entry with an e-mail address: without a recipient an alert has no effect."
  }
}

variable "action_policy_id" {
  description = "Action policy of Log Service that notifies the recipients of alerts; see the alert-recipients module."
  type        = string
}

variable "trail" {
  description = "Record write calls of the account (ActionTrail). One trail for each account is enough."
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
  description = "Ids of the elastic addresses, by a name of your choice."
  type        = map(string)
}

variable "rocketmq_instance_id" {
  description = "Id of the broker."
  type        = string
}

variable "consumer_group" {
  description = "Consumer group of the drain; alarms watch its lag and dead letters."
  type        = string
  default     = "drain"
}

variable "database_cluster_id" {
  description = "Id of the PolarDB cluster."
  type        = string
}

variable "thresholds" {
  description = "Thresholds of alerts. Within five minutes: `failed_percent` of requests answered with 500 or above, if more than `failed_requests` failed; `slow_percent` of requests over 250 ms; `shed_requests`; `unauthenticated` requests; `gateway_errors` (500 or above from the gateway); `lost_leases`. At any time: `broker_messages` waiting (set it above the backlog of the sale, `loadtest plan`); age of the oldest message, `oldest_message_h` hours (set it to twice the longest wait of the sale); `nat_connections` of each address; `eip_percent` of its bandwidth; `throttled_calls` and `function_errors` of the function a minute; `database_connection_percent`; `database_cpu_percent`."
  type = object({
    failed_requests             = optional(number, 50)
    failed_percent              = optional(number, 0.1)
    slow_percent                = optional(number, 1)
    shed_requests               = optional(number, 1000)
    unauthenticated             = optional(number, 100)
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
    error_message = "thresholds must be above 0: at 0 the alert always fires and is ignored."
  }
}

variable "metrics" {
  description = "CloudMonitor's metrics by use: namespace, metric, statistic and period. All are likely: from published lists of CloudMonitor's metrics, those of Function Compute from the vendor's own page. Compare them with the console: an alarm on an unknown metric or statistic never fires."
  type = map(object({
    namespace = string
    metric    = string
    statistic = string
    period_s  = optional(number, 60)
  }))
  nullable = false
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
    database-connections   = { namespace = "acs_polardb", metric = "cluster_connection_utilization", statistic = "Maximum" }
    database-cpu           = { namespace = "acs_polardb", metric = "cluster_cpu_utilization", statistic = "Average" }
  }
}
