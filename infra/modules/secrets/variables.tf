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
  description = "KMS instance that keys and secrets are in; null for the account's shared service. That new accounts need an instance for secrets is likely."
  type        = string
  default     = null
}

variable "rotation_days" {
  description = "The key makes itself new after so many days, 30 to 730; what was encrypted stays readable. Null: never. That the shared service rotates is likely; an instance does."
  type        = number
  default     = 365

  validation {
    condition     = var.rotation_days == null || try(var.rotation_days >= 30 && var.rotation_days <= 730, false)
    error_message = "rotation_days must be 30 to 730."
  }
}

variable "recovery_days" {
  description = "How long what is deleted can be had back, days, 7 to 30."
  type        = number
  default     = 30

  validation {
    condition     = var.recovery_days >= 7 && var.recovery_days <= 30
    error_message = "recovery_days must be 7 to 30: a deleted key takes everything that it encrypts with it."
  }
}

variable "secrets" {
  description = "Secrets by name: lower-case letters, digits and dashes. Their values are in the state, as those of every variable that a resource takes."
  type        = map(string)
  sensitive   = true

  validation {
    condition     = alltrue([for name in keys(var.secrets) : can(regex("^[a-z][a-z0-9-]{1,40}$", name))])
    error_message = "secrets must be named by lower-case letters, digits and dashes."
  }
  validation {
    condition     = alltrue([for value in values(var.secrets) : length(value) >= 8])
    error_message = "secrets must have at least 8 characters each: what is shorter can be guessed."
  }
}

variable "deletion_protection" {
  description = "Refuse to delete the key, and keep deleted secrets for `recovery_days`, in which their names stay taken."
  type        = bool
  default     = true
}
