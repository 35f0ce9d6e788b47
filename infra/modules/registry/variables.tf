variable "name" {
  description = "Prefix of every name, such as `spillway-prod`: 3 to 24 lower-case letters, digits and dashes, beginning with a letter."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{2,23}$", var.name))
    error_message = "name must be 3 to 24 lower-case letters, digits and dashes, beginning with a letter."
  }
}

variable "tags" {
  description = "Tags of the instance."
  type        = map(string)
  default     = {}
}

variable "region" {
  description = "Region, such as `cn-hangzhou`: part of the registry's host name."
  type        = string
}

variable "instance_type" {
  description = "Class of the instance: `Economy`, `Basic`, `Standard` or `Advanced`. Which of them scan is unknown."
  type        = string
  default     = "Basic"

  validation {
    condition     = contains(["Economy", "Basic", "Standard", "Advanced"], var.instance_type)
    error_message = "instance_type must be Economy, Basic, Standard or Advanced."
  }
}

variable "payment" {
  description = "Billing of the instance: `PayAsYouGo` or `Subscription` (monthly)."
  type        = string
  default     = "PayAsYouGo"

  validation {
    condition     = contains(["PayAsYouGo", "Subscription"], var.payment)
    error_message = "payment must be PayAsYouGo or Subscription."
  }
}

variable "scanner" {
  description = "Vulnerability scanner of pushed images: `ACR` (the registry's own) or `SAS` (Security Center, billed separately)."
  type        = string
  default     = "ACR"

  validation {
    condition     = contains(["ACR", "SAS"], var.scanner)
    error_message = "scanner must be ACR or SAS: images must be scanned."
  }
}

variable "repositories" {
  description = "Repositories by name, all private."
  type        = set(string)
  default     = ["ingest-fn", "drain-worker"]

  validation {
    condition     = length(var.repositories) > 0
    error_message = "repositories must have at least one entry."
  }
}

variable "tags_kept" {
  description = "Tags retained in each repository, the newest first, 5 to 1000: at least the number of releases that you may roll back."
  type        = number
  default     = 30

  validation {
    condition     = var.tags_kept >= 5 && var.tags_kept <= 1000
    error_message = "tags_kept must be 5 to 1000: a rollback needs the previous images."
  }
}

variable "vpc" {
  description = "VPC and vSwitch of the private endpoint for pulls; null for none."
  type = object({
    vpc_id     = string
    vswitch_id = string
  })
  default = null
}

variable "push_cidrs" {
  description = "Ranges that reach the public endpoint, to push and to pull, by a name of your choice, such as `ci = \"198.51.100.7/32\"`. Builds on the pipeline vendor's machines need `0.0.0.0/0`, because their addresses change: then the token is the only check."
  type        = map(string)

  validation {
    condition     = length(var.push_cidrs) > 0
    error_message = "push_cidrs must not be empty: the list would hold the platform's own entry alone, and no image could be pushed."
  }
  validation {
    condition     = alltrue([for cidr in values(var.push_cidrs) : can(cidrhost(cidr, 0))])
    error_message = "push_cidrs must be ranges, such as 198.51.100.7/32."
  }
}
