variable "name" {
  description = "Prefix of every name, such as `spillway-prod`; the root checks it."
  type        = string
}

variable "tags" {
  description = "Tags of roles and policies."
  type        = map(string)
  default     = {}
}

variable "region" {
  description = "Region of the policies' resources."
  type        = string
}

variable "account_id" {
  description = "Account of the policies' resources."
  type        = string
}

variable "registry" {
  description = "The account's registry: id of the instance, and namespace of the images."
  type = object({
    instance_id = string
    namespace   = string
  })
}

variable "state" {
  description = "Where Terraform keeps the environment's state: bucket, folder in it, Tablestore instance and table of the locks."
  type = object({
    bucket        = string
    prefix        = string
    lock_instance = string
    lock_table    = string
  })
}

variable "records_region" {
  description = "Region of the account's users, groups and action policies of Log Service; see the alert-recipients module."
  type        = string
  default     = "cn-heyuan"
}

variable "dns_zone" {
  description = "Zone in Alibaba Cloud DNS that has the API's domain; null: none, and no right to one."
  type        = string
  default     = null
}

variable "catalogue" {
  description = "Bucket and absolute folder of the function's catalogue; null: none, and no right to a bucket."
  type = object({
    bucket = string
    folder = string
  })
  default = null
}

variable "github" {
  description = "Trust of the pipeline's roles: repository `owner/name`, the environment of its release jobs (such as `prod`; the others are `prod-build`, `prod-plan`, `prod-apply`), audience of the token, and the account's OIDC provider. Null: no pipeline and no trust."
  type = object({
    repository   = string
    environment  = string
    audience     = string
    provider_arn = string
  })
  default = null

  validation {
    condition     = var.github == null || try(can(regex("^[A-Za-z0-9._-]+/[A-Za-z0-9._-]+$", var.github.repository)), false)
    error_message = "github.repository must be owner/name, without a wildcard: any repository could deploy otherwise."
  }
  validation {
    condition     = var.github == null || try(can(regex("^[A-Za-z0-9_-]+$", var.github.environment)), false)
    error_message = "github.environment must be letters, digits, - and _: the trust compares it exactly."
  }
}

variable "deploys_one_application" {
  description = "Let the release deploy the workers' namespace alone. The vendor's texts differ: the page on custom policies narrows `DeployApplication`, the page of the call says that it takes no resource. Set false if a release ends with NoPermission."
  type        = bool
  default     = true
}

variable "function_platform_rights" {
  description = "Give the function's role the rights to join a VPC. Normally the platform's service role has them (AliyunServiceRoleForFC; likely): set it only if a deployment reports a missing right of the function's role."
  type        = bool
  default     = false
}
