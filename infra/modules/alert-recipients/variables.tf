variable "name" {
  description = "Prefix of every name, such as `spillway-prod`; the root checks it."
  type        = string
}

variable "contacts" {
  description = "Recipients of alerts."
  type = list(object({
    name  = string
    email = string
  }))

  validation {
    condition     = alltrue([for contact in var.contacts : can(regex("^[a-z][a-z0-9_-]{0,31}$", contact.name))])
    error_message = "contacts must have names of 1 to 32 lower-case letters, digits, _ and -: they are part of ids."
  }
}
