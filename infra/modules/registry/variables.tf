variable "name" {
  description = "Prefix of every name, such as `spillway-prod`; the root checks it."
  type        = string
}

variable "tags" {
  description = "Tags of the instance."
  type        = map(string)
  default     = {}
}

variable "resource_group_id" {
  description = "Resource group of the instance."
  type        = string
}

variable "instance_type" {
  description = "Class of the instance: `Economy`, `Basic`, `Standard` or `Advanced`. Which of them scan is unknown."
  type        = string
}

variable "payment" {
  description = "Billing of the instance: `PayAsYouGo` or `Subscription` (monthly)."
  type        = string
}

variable "region" {
  description = "Region, such as `cn-hangzhou`: part of the registry's host name."
  type        = string
}

variable "tags_kept" {
  description = "Tags retained in each repository, the newest first, 5 to 1000: at least the number of releases that you may roll back."
  type        = number
}

variable "push_cidrs" {
  description = "Ranges that reach the public endpoint, to push and to pull, by a name of your choice, such as `ci = \"198.51.100.7/32\"`. Builds on the pipeline vendor's machines need `0.0.0.0/0`, because their addresses change: then the token is the only check."
  type        = map(string)

  validation {
    condition     = length(var.push_cidrs) > 0
    error_message = "push_cidrs must not be empty: the list would hold the platform's own entry alone, and no image could be pushed."
  }
}
