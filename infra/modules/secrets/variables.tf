variable "name" {
  description = "Prefix of every name, such as `spillway-prod`: 3 to 24 lower-case letters, digits and dashes, beginning with a letter."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{2,23}$", var.name))
    error_message = "name must be 3 to 24 lower-case letters, digits and dashes, beginning with a letter."
  }
}

variable "tags" {
  description = "Tags of keys and secrets."
  type        = map(string)
  default     = {}
}

variable "kms_instance_id" {
  description = "KMS instance of key and secrets; null for the account's shared service. New accounts likely need an instance for secrets."
  type        = string
  default     = null
}

variable "rotation_days" {
  description = "Days between rotations of the key, 30 to 730; old data stays readable. Null: no rotation. An instance rotates; the shared service likely does."
  type        = number
  default     = 365

  validation {
    condition     = var.rotation_days == null || try(var.rotation_days >= 30 && var.rotation_days <= 730, false)
    error_message = "rotation_days must be 30 to 730."
  }
}

variable "recovery_days" {
  description = "Recovery window of a deleted key or secret, days, 7 to 30."
  type        = number
  default     = 30

  validation {
    condition     = var.recovery_days >= 7 && var.recovery_days <= 30
    error_message = "recovery_days must be 7 to 30: without the key, everything that it encrypts is lost."
  }
}

variable "secrets" {
  description = "Secrets by name: lower-case letters, digits and dashes. Their values are in the state."
  type        = map(string)
  sensitive   = true

  validation {
    condition     = alltrue([for name in keys(var.secrets) : can(regex("^[a-z][a-z0-9-]{1,40}$", name))])
    error_message = "names of secrets must be lower-case letters, digits and dashes."
  }
  validation {
    condition     = alltrue([for value in values(var.secrets) : length(value) >= 8])
    error_message = "secrets must have at least 8 characters each: a shorter one can be guessed."
  }
}

variable "deletion_protection" {
  description = "Protect the key against deletion, and make deleted secrets recoverable for `recovery_days`, during which their names cannot be reused."
  type        = bool
  default     = true
}
