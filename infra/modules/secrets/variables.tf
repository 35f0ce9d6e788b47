variable "name" {
  description = "Prefix of every name, such as `spillway-prod`: 3 to 24 lower-case letters, digits and dashes, beginning with a letter."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{2,23}$", var.name))
    error_message = "name must be 3 to 24 lower-case letters, digits and dashes, beginning with a letter."
  }
  # The API's page of CreateSecretParameter.
  validation {
    condition     = !can(regex("^(aliyun|acs|alibaba|alicloud|oos)", var.name))
    error_message = "name must not begin with aliyun, acs, alibaba, alicloud or oos: the platform reserves these."
  }
}

variable "tags" {
  description = "Tags of the secrets."
  type        = map(string)
  default     = {}
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
