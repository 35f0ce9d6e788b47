variable "name" {
  description = "Prefix of every name, such as `spillway-prod`; the root checks it."
  type        = string
}

variable "tags" {
  description = "Tags of project and alarms."
  type        = map(string)
  default     = {}
}

variable "resource_group_id" {
  description = "Resource group of all resources that have one."
  type        = string
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
}

variable "line_fields" {
  description = "Field in which the platform stores a service's whole line; its members are indexed below it. Empty: the platform parses lines, and members are fields. Both defaults are likely: `message` for Function Compute, `content` for SAE."
  type = object({
    function = optional(string, "message")
    worker   = optional(string, "content")
  })
  nullable = false
  default  = {}
}

variable "contacts" {
  description = "Recipients of alarms. CloudMonitor's name of one, `NAME-CONTACT-` and four characters, has at most 40."
  type = list(object({
    name  = string
    email = string
  }))

  validation {
    condition     = alltrue([for contact in var.contacts : length("${var.name}-${contact.name}-0000") <= 40])
    error_message = "contacts must have names that leave at most 40 characters for CloudMonitor's: the environment's name, the contact's, and 6."
  }
}

variable "action_policy_id" {
  description = "Action policy of Log Service that notifies the recipients of alerts; see the alert-recipients module."
  type        = string
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

variable "backlog" {
  description = "Thresholds of the broker's alarms: `messages` waiting (above the backlog of the sale, `loadtest plan`); age of the oldest message, `oldest_h` hours (twice the longest wait of the sale)."
  type = object({
    messages = number
    oldest_h = number
  })
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
