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
}

variable "security_group_id" {
  description = "Security group of the endpoint."
  type        = string
}

variable "size" {
  description = "The instance, as in the platform's `broker`: `series` (`standard`, `professional`, `ultimate`); `sub_series` (`serverless`, billed by use; `cluster_ha`, fixed; `single_node`, for tests alone); `spec`, the class (`loadtest plan`; counts for the first apply, later change it in the console; sends and receives together, in units of 4 KiB; the names of the serverless classes are unknown here); `retention_h`, hours, 24 to 720, far above the longest wait of an order; `storage_key_id`, KMS key (Aliyun_AES_256, of a KMS instance) that encrypts stored messages, which have names and addresses, or null: cannot be changed later."
  type = object({
    series         = string
    sub_series     = string
    spec           = string
    retention_h    = number
    storage_key_id = string
  })

  validation {
    condition     = var.size.sub_series != "serverless" || var.size.series != "ultimate"
    error_message = "the series ultimate exists as cluster_ha only."
  }
  validation {
    condition     = var.size.retention_h >= 24 && var.size.retention_h <= 720 && floor(var.size.retention_h) == var.size.retention_h
    error_message = "retention_h must be a whole number of hours, 24 to 720."
  }
  # "Message storage encryption" of RocketMQ 5.x.
  validation {
    condition     = var.size.storage_key_id == null || var.size.series == "ultimate"
    error_message = "storage_key_id must be null: the broker encrypts its storage in the series ultimate alone."
  }
}

variable "client_cidrs" {
  description = "Address ranges that may reach the endpoint, those of function and worker; empty leaves it to the security group."
  type        = list(string)
  default     = []
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
}

variable "worker_password" {
  description = "Password of drain-worker's account, 8 to 128 characters, different from the function's. It is in the state."
  type        = string
  sensitive   = true
  validation {
    condition     = !contains(values(var.function_passwords), var.worker_password)
    error_message = "worker_password must differ from function_passwords: with a shared password the function would have the worker's rights."
  }
}
