variable "name" {
  description = "Prefix of every name, such as `spillway-prod`: 3 to 24 lower-case letters, digits and dashes, beginning with a letter."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{2,23}$", var.name))
    error_message = "name must be 3 to 24 lower-case letters, digits and dashes, beginning with a letter."
  }
}

variable "tags" {
  description = "Tags of the instance; topics, groups and accounts have none."
  type        = map(string)
  default     = {}
}

variable "vpc_id" {
  description = "VPC that the instance has its only endpoint in."
  type        = string
}

variable "vswitch_ids" {
  description = "vSwitches of the endpoint, at least two in different zones: a serverless instance asks for two."
  type        = list(string)

  validation {
    condition     = length(var.vswitch_ids) >= 2 && length(distinct(var.vswitch_ids)) == length(var.vswitch_ids)
    error_message = "vswitch_ids must name at least two different vSwitches."
  }
}

variable "security_group_id" {
  description = "Security group of the endpoint."
  type        = string
}

variable "client_cidrs" {
  description = "Address ranges that may reach the endpoint, those of function and worker; empty leaves it to the security group."
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for cidr in var.client_cidrs : can(cidrhost(cidr, 0)) && cidr != "0.0.0.0/0"])
    error_message = "client_cidrs must be address ranges, none of them everybody's."
  }
}

variable "series" {
  description = "Edition: `standard`, `professional` or `ultimate`."
  type        = string
  default     = "standard"

  validation {
    condition     = contains(["standard", "professional", "ultimate"], var.series)
    error_message = "series must be standard, professional or ultimate."
  }
}

variable "sub_series" {
  description = "`serverless` (billed by use), `cluster_ha` (fixed, highly available) or `single_node` (for tests alone: no copy of a message)."
  type        = string
  default     = "serverless"

  validation {
    condition     = contains(["serverless", "cluster_ha", "single_node"], var.sub_series)
    error_message = "sub_series must be serverless, cluster_ha or single_node."
  }
  validation {
    condition     = var.sub_series != "serverless" || var.series != "ultimate"
    error_message = "the ultimate series comes as cluster_ha alone."
  }
}

variable "spec" {
  description = "Throughput class, such as `rmq.p2.100xlarge`; what a sale needs says `loadtest plan`. Taken when the instance is made; afterwards it is changed in the console, and a change here does nothing. Sends and receives count together, by 4 KiB. The names of the serverless classes are not in the documents that this was written by: look them up."
  type        = string

  validation {
    condition     = can(regex("^rmq\\.[a-z0-9]+\\.[a-z0-9]+$", var.spec))
    error_message = "spec must look like rmq.p2.100xlarge."
  }
}

variable "send_share" {
  description = "Share of the throughput that is for sends, 0.05 to 0.5. A sale is sends, so as many as the service allows."
  type        = number
  default     = 0.5

  validation {
    condition     = var.send_share >= 0.05 && var.send_share <= 0.5
    error_message = "send_share must be 0.05 to 0.5."
  }
}

variable "burst" {
  description = "Let the instance go over its class for a while, at a price. Serverless instances scale by themselves."
  type        = bool
  default     = true
}

variable "retention_h" {
  description = "How long the broker keeps messages, hours, 24 to 720. The longest wait of an order (`loadtest plan`) must be far below it; tell drain-worker the same (`SPILLWAY_BROKER_RETENTION_H`)."
  type        = number
  default     = 72

  validation {
    condition     = var.retention_h >= 24 && var.retention_h <= 720 && floor(var.retention_h) == var.retention_h
    error_message = "retention_h must be a whole number of hours, 24 to 720."
  }
}

variable "storage_encrypted" {
  description = "Encrypt what is stored. Orders carry names and addresses. Cannot be changed later."
  type        = bool
  default     = true
}

variable "storage_key_id" {
  description = "KMS key for it; null for the service's own."
  type        = string
  default     = null
}

variable "acl_types" {
  description = "Who checks users: `apache_acl` knows the accounts made here; `default` keeps the instance's own user, whose password nobody is given. That an instance takes both is likely."
  type        = list(string)
  default     = ["default", "apache_acl"]

  validation {
    condition     = contains(var.acl_types, "apache_acl") && length(setsubtract(var.acl_types, ["default", "apache_acl"])) == 0
    error_message = "acl_types must hold apache_acl, and beside it default at most: without it the accounts have no rights of their own."
  }
}

variable "topics" {
  description = "Names of the topics, 1 to 60 letters, digits, `-` and `_` each, all different."
  type = object({
    orders       = optional(string, "orders")
    payments     = optional(string, "payment-events")
    events       = optional(string, "order-events")
    expiry       = optional(string, "order-expiry")
    dead_letters = optional(string, "drain-dead-letters")
  })
  default = {}

  validation {
    condition     = alltrue([for name in values(var.topics) : can(regex("^[A-Za-z0-9_-]{1,60}$", name))])
    error_message = "topics must be 1 to 60 letters, digits, - and _ each."
  }
  validation {
    condition     = length(distinct(values(var.topics))) == length(values(var.topics))
    error_message = "topics must all be different: a message type is a topic's."
  }
}

variable "groups" {
  description = "Names of the consumer groups, each of one topic: `drain` takes orders, `dead_letters` what `drain` gave up on, `payments` and `expiry` the topics of these names."
  type = object({
    drain        = optional(string, "drain")
    dead_letters = optional(string, "drain-dead-letters")
    payments     = optional(string, "payment-events")
    expiry       = optional(string, "order-expiry")
  })
  default = {}

  validation {
    condition     = alltrue([for name in values(var.groups) : can(regex("^[A-Za-z0-9_-]{1,60}$", name))])
    error_message = "groups must be 1 to 60 letters, digits, - and _ each."
  }
  validation {
    condition     = length(distinct(values(var.groups))) == length(values(var.groups))
    error_message = "groups must all be different: two topics in one group share its place."
  }
}

variable "max_retry_times" {
  description = "How often a message is delivered again before it goes to the dead letter topic, 1 to 1000."
  type        = number
  default     = 16

  validation {
    condition     = var.max_retry_times >= 1 && var.max_retry_times <= 1000
    error_message = "max_retry_times must be 1 to 1000."
  }
}

variable "dead_letter_retry_times" {
  description = "The same for the group that takes dead letters over, 16 to 1000. Nothing catches what that one gives up on. 1000 is the provider's bound; the service's own is unknown."
  type        = number
  default     = 1000

  validation {
    condition     = var.dead_letter_retry_times >= 16 && var.dead_letter_retry_times <= 1000
    error_message = "dead_letter_retry_times must be 16 to 1000."
  }
}

variable "drain_cap" {
  description = "Orders a second that the workers may commit together: the cap that operators set (`drain-worker rate set`), which this module only fences."
  type        = number
  default     = 2000

  validation {
    condition     = var.drain_cap >= 1
    error_message = "drain_cap must be at least 1."
  }
}

variable "drain_receive_tps_max" {
  description = "Most messages a second that the group `drain` is given: the broker's own fence, in case the cap fails. A message holds one order or more, so below `drain_cap` it would slow a drain of single orders down."
  type        = number
  default     = 4000

  validation {
    condition     = var.drain_receive_tps_max >= var.drain_cap
    error_message = "drain_receive_tps_max must not be below drain_cap: it is a fence, not the cap."
  }
  validation {
    condition     = var.drain_receive_tps_max <= 10 * var.drain_cap
    error_message = "drain_receive_tps_max must be at most ten times drain_cap, or it fences nothing."
  }
}

variable "orders_send_tps_max" {
  description = "Most messages a second that the topic of orders takes; null leaves it to the instance's class."
  type        = number
  default     = null

  validation {
    condition     = var.orders_send_tps_max == null ? true : var.orders_send_tps_max >= 1
    error_message = "orders_send_tps_max must be at least 1."
  }
}

variable "function_passwords" {
  description = "Passwords of the accounts that ingest-fn publishes with, 8 to 128 characters, by the account's own name: one, or two while the second takes the first one's place. They are in the state."
  type        = map(string)
  sensitive   = true

  validation {
    condition     = length(var.function_passwords) >= 1 && length(var.function_passwords) <= 2
    error_message = "function_passwords must be one or two: what is not used is taken away."
  }
  validation {
    condition     = alltrue([for account in keys(var.function_passwords) : can(regex("^[a-z0-9]{1,16}$", account))])
    error_message = "function_passwords must be named by 1 to 16 lower-case letters and digits."
  }
  validation {
    condition     = alltrue([for password in values(var.function_passwords) : length(password) >= 8 && length(password) <= 128])
    error_message = "function_passwords must be 8 to 128 characters each."
  }
}

variable "worker_password" {
  description = "Password of the account that drain-worker consumes with, 8 to 128 characters, another one than the function's. It is in the state."
  type        = string
  sensitive   = true

  validation {
    condition     = length(var.worker_password) >= 8 && length(var.worker_password) <= 128
    error_message = "worker_password must be 8 to 128 characters."
  }
  validation {
    condition     = !contains(values(var.function_passwords), var.worker_password)
    error_message = "worker_password must be another one than the function's: with one password there is one account."
  }
}
