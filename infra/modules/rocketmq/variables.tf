variable "name" {
  description = "Prefix of every name, such as `spillway-prod`; the root checks it."
  type        = string
}

variable "tags" {
  description = "Tags of the instance; topics, groups and accounts have none."
  type        = map(string)
  default     = {}
}

variable "resource_group_id" {
  description = "Resource group of all resources that have one."
  type        = string
}

variable "vpc_id" {
  description = "VPC of the instance's only endpoint."
  type        = string
}

variable "vswitch_ids" {
  description = "vSwitches of the endpoint, at least two in different zones: a serverless instance needs two."
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
    error_message = "client_cidrs must be address ranges, and not 0.0.0.0/0."
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
  description = "`serverless` (billed by use), `cluster_ha` (fixed, highly available) or `single_node` (for tests only: no replica of a message)."
  type        = string
  default     = "serverless"

  validation {
    condition     = contains(["serverless", "cluster_ha", "single_node"], var.sub_series)
    error_message = "sub_series must be serverless, cluster_ha or single_node."
  }
  validation {
    condition     = var.sub_series != "serverless" || var.series != "ultimate"
    error_message = "the series ultimate exists as cluster_ha only."
  }
}

variable "spec" {
  description = "Throughput class, such as `rmq.p2.100xlarge`; `loadtest plan` computes what a sale needs. Used when the instance is made; change it later in the console, because a change here has no effect. Sends and receives count together, in units of 4 KiB. The names of the serverless classes are unknown here: look them up."
  type        = string

  validation {
    condition     = can(regex("^rmq\\.[a-z0-9]+\\.[a-z0-9]+$", var.spec))
    error_message = "spec must look like rmq.p2.100xlarge."
  }
}

variable "retention_h" {
  description = "Retention of messages, hours, 24 to 720. It must be far above the longest wait of an order (`loadtest plan`); set drain-worker's `SPILLWAY_BROKER_RETENTION_H` to the same value."
  type        = number
  default     = 72

  validation {
    condition     = var.retention_h >= 24 && var.retention_h <= 720 && floor(var.retention_h) == var.retention_h
    error_message = "retention_h must be a whole number of hours, 24 to 720."
  }
}

variable "storage_key_id" {
  description = "KMS key (Aliyun_AES_256, of a KMS instance) that encrypts stored messages, which have names and addresses: the series `ultimate` alone has this. Null: not encrypted. Cannot be changed later."
  type        = string
  default     = null

  # "Message storage encryption" of RocketMQ 5.x.
  validation {
    condition     = var.storage_key_id == null || var.series == "ultimate"
    error_message = "storage_key_id must be null: the broker encrypts its storage in the series ultimate alone."
  }
}

variable "acl_types" {
  description = "Sources of users: `apache_acl` has the accounts made here; `default` has the instance's own user, whose password this module does not use. That an instance accepts both is likely."
  type        = list(string)
  nullable    = false
  default     = ["default", "apache_acl"]

  validation {
    condition     = contains(var.acl_types, "apache_acl") && length(setsubtract(var.acl_types, ["default", "apache_acl"])) == 0
    error_message = "acl_types must contain apache_acl, and may contain default: without apache_acl the accounts have no rights of their own."
  }
}

variable "drain_cap" {
  description = "Cap of the worker pool, committed orders a second. Operators set it (`drain-worker rate set`); this module only checks the broker's limit against it."
  type        = number
  default     = 2000

  validation {
    condition     = var.drain_cap >= 1
    error_message = "drain_cap must be at least 1."
  }
}

variable "drain_receive_tps_max" {
  description = "Maximum messages a second that the broker delivers to the group `drain`: a second limit in case the cap fails. A message has one order or more, so a value below `drain_cap` would slow a drain of single orders."
  type        = number
  default     = 4000

  validation {
    condition     = var.drain_receive_tps_max >= var.drain_cap
    error_message = "drain_receive_tps_max must be at least drain_cap: it is a second limit, not the cap."
  }
  validation {
    condition     = var.drain_receive_tps_max <= 10 * var.drain_cap
    error_message = "drain_receive_tps_max must be at most ten times drain_cap: a higher limit protects nothing."
  }
}

variable "function_passwords" {
  description = "Passwords of the accounts that ingest-fn publishes with, 8 to 128 characters, by account name: one, or two during a rotation. They are in the state."
  type        = map(string)
  sensitive   = true

  validation {
    condition     = length(var.function_passwords) >= 1 && length(var.function_passwords) <= 2
    error_message = "function_passwords must have one or two entries: remove unused accounts."
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
  description = "Password of drain-worker's account, 8 to 128 characters, different from the function's. It is in the state."
  type        = string
  sensitive   = true

  validation {
    condition     = length(var.worker_password) >= 8 && length(var.worker_password) <= 128
    error_message = "worker_password must be 8 to 128 characters."
  }
  validation {
    condition     = !contains(values(var.function_passwords), var.worker_password)
    error_message = "worker_password must differ from function_passwords: with a shared password the function would have the worker's rights."
  }
}
