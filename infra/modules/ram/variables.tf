variable "name" {
  description = "Prefix of every name, such as `spillway-prod`: 3 to 24 lower-case letters, digits and dashes, beginning with a letter."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{2,23}$", var.name))
    error_message = "name must be 3 to 24 lower-case letters, digits and dashes, beginning with a letter."
  }
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

variable "function_name" {
  description = "Name of the function."
  type        = string
}

variable "function_alias" {
  description = "Alias that the gateway may call."
  type        = string
  default     = "live"
}

variable "worker_namespace_id" {
  description = "Id of the namespace of the workers' application."
  type        = string
}

variable "worker_application_id" {
  description = "Id of the workers' application, which the deployer rolls."
  type        = string
}

variable "deploys_one_application" {
  description = "Let the deployer deploy the workers' application alone. The vendor's texts differ: the page on custom policies narrows `DeployApplication` to an application, the page of the call says that it takes no resource. Set false if a release ends with NoPermission."
  type        = bool
  default     = true
}

variable "log_project" {
  description = "Log Service project."
  type        = string
}

variable "function_logstore" {
  description = "Logstore of the function."
  type        = string
}

variable "vpc_id" {
  description = "VPC from which the gateway may call the function, if the platform reports it (`acs:SourceVpc`, likely); null for no condition. API Gateway calls from outside the VPC, so use null unless the gateway's instance is in the VPC."
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

variable "function_platform_rights" {
  description = "Give the function's role the rights to join a VPC. Normally the platform's service role has them (AliyunServiceRoleForFC; likely): set it only if a deployment reports a missing right of the function's role."
  type        = bool
  nullable    = false
  default     = false
}

variable "registry_instance_id" {
  description = "Instance of the registry."
  type        = string
}

variable "registry_namespace" {
  description = "Namespace of the registry that images are pushed to."
  type        = string
}

variable "deploy_secret_names" {
  description = "Encrypted parameters that a release reads: the migrator's database URL and the worker's password at the broker."
  type        = list(string)
  default     = []
}

variable "github" {
  description = "Trust of the pipeline's roles: repository `owner/name`, its environments (`prod`), the audience of the token; `oidc_provider_arn` of the account's existing provider for GitHub, if any (an account can have one). Null: no pipeline and no trust."
  type = object({
    repository        = string
    environments      = list(string)
    audience          = optional(string, "sts.aliyuncs.com")
    oidc_provider_arn = optional(string)
  })
  default = null

  validation {
    condition     = var.github == null || try(can(regex("^[A-Za-z0-9._-]+/[A-Za-z0-9._-]+$", var.github.repository)), false)
    error_message = "github.repository must be owner/name without wildcards: with a wildcard other repositories could deploy."
  }
  validation {
    condition     = var.github == null || try(length(var.github.environments) > 0 && alltrue([for environment in var.github.environments : can(regex("^[A-Za-z0-9_-]+$", environment))]), false)
    error_message = "github.environments must have at least one name: a branch without an environment needs no approval."
  }
}

variable "github_fingerprints" {
  description = "SHA-1 fingerprints of the certificate authorities of GitHub's tokens, at most 5. The default is what GitHub published (\"OIDC integration with AWS no longer requires pinning\", 2023-06-27); a change of the authority needs another."
  type        = set(string)
  nullable    = false
  default     = ["6938fd4d98bab03faadb97b34396831e3780aea1", "1c58a3a8518e8759bf075b76b750d4f2df264fcd"]

  validation {
    condition     = length(var.github_fingerprints) >= 1 && length(var.github_fingerprints) <= 5 && alltrue([for one in var.github_fingerprints : can(regex("^[0-9a-f]{40}$", one))])
    error_message = "github_fingerprints must be 1 to 5 SHA-1 fingerprints of 40 lower-case hexadecimal digits."
  }
}
