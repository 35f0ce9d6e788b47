variable "name" {
  description = "Prefix of every name, such as `spillway-prod`; the root checks it."
  type        = string
}

variable "tags" {
  description = "Tags of the secrets."
  type        = map(string)
  default     = {}
}

variable "resource_group_id" {
  description = "Resource group of all resources that have one."
  type        = string
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
