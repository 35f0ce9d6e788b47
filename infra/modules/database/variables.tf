variable "name" {
  description = "Prefix of every name, such as `spillway-prod`; the root checks it."
  type        = string
}

variable "tags" {
  description = "Tags of the cluster."
  type        = map(string)
  default     = {}
}

variable "resource_group_id" {
  description = "Resource group of all resources that have one."
  type        = string
}

variable "vpc_id" {
  description = "VPC of the database."
  type        = string
}

variable "zones" {
  description = "Two zones: the first for the primary, the second for the standby."
  type        = list(string)
}

variable "vswitch_ids" {
  description = "vSwitch of the data range in each zone, by the zone's name."
  type        = map(string)
}

variable "security_group_ids" {
  description = "Security groups whose members may connect: the workers' and the operators'. Never the function's."
  type        = list(string)
}

variable "size" {
  description = "The cluster, as in the platform's `database`: `node_class`, such as `polar.mysql.x4.medium`, which determines the connection limit; `node_count`, 2 to 16, one primary and read-only nodes; `connections_max` of the class, null for the value in the module's table of vendor limits; `backup_days`, retention of backups and of logs for point-in-time recovery, 7 to 30."
  type = object({
    node_class      = string
    node_count      = number
    connections_max = number
    backup_days     = number
  })

  validation {
    condition     = var.size.node_count >= 2
    error_message = "node_count must be at least 2: a single node has no failover."
  }
  validation {
    condition     = var.size.backup_days >= 7
    error_message = "backup_days must be at least 7."
  }
}

variable "worker_endpoint" {
  description = "`custom`: the worker uses its own endpoint of the database proxy. `primary`: the worker connects to the primary directly."
  type        = string
  nullable    = false
  default     = "custom"

  validation {
    condition     = contains(["custom", "primary"], var.worker_endpoint)
    error_message = "worker_endpoint must be custom or primary."
  }
}

variable "proxy" {
  description = "The database proxy. `pooling`: `Off` or `Session`; transaction pooling is rejected, because every prepared statement pins a connection. `class` of PolarProxy and `type` (`EXCLUSIVE`, `GENERAL`): null for the cluster's default."
  type = object({
    pooling = optional(string, "Off")
    class   = optional(string)
    type    = optional(string)
  })
  nullable = false
  default  = {}

  validation {
    condition     = contains(["Off", "Session"], var.proxy.pooling)
    error_message = "proxy.pooling must be Off or Session: with Transaction the worker's prepared statements pin connections and nothing is shared."
  }
}

variable "passwords" {
  description = "Passwords of the accounts, 8 to 32 characters, of at least three of: upper case, lower case, digit, one of `!@#$%^&*()_+-=`. All different. They are in the state."
  type = object({
    worker   = string
    migrator = string
    tune     = string
  })
  sensitive = true

  validation {
    condition = alltrue([
      for password in values(var.passwords) :
      can(regex("^[A-Za-z0-9!@#$%^&*()_+=-]{8,32}$", password)) && 3 <= length(compact([
        can(regex("[A-Z]", password)) ? "upper" : "",
        can(regex("[a-z]", password)) ? "lower" : "",
        can(regex("[0-9]", password)) ? "digit" : "",
        can(regex("[!@#$%^&*()_+=-]", password)) ? "other" : "",
      ]))
    ])
    error_message = "passwords must have 8 to 32 characters, of at least three of: upper case, lower case, digit, special character."
  }
  validation {
    condition     = length(distinct(values(var.passwords))) == 3
    error_message = "passwords must all be different: with the migrator's password the worker could drop tables."
  }
}

variable "deletion_lock" {
  description = "Lock the database against deletion by any means. Set it to false and apply before `terraform destroy`."
  type        = bool
  default     = true
}
