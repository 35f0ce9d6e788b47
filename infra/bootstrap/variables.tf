variable "region" {
  description = "Region of the bucket."
  type        = string
  default     = "cn-hangzhou"
}

variable "bucket" {
  description = "Name of the bucket, unique worldwide: 3 to 63 lower-case letters, digits and dashes."
  type        = string

  validation {
    condition     = can(regex("^[a-z0-9][a-z0-9-]{1,61}[a-z0-9]$", var.bucket))
    error_message = "bucket must be 3 to 63 lower-case letters, digits and dashes, not beginning or ending with a dash."
  }
}

variable "lock_instance" {
  description = "Name of the Tablestore instance that holds the locks: 3 to 16 letters, digits and dashes, beginning with a letter."
  type        = string
  default     = "spillway-locks"
}
