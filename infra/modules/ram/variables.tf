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
  description = "Region of everything that the policies name."
  type        = string
}

variable "account_id" {
  description = "Account of everything that the policies name."
  type        = string
}

variable "function_name" {
  description = "Name of the function."
  type        = string
}

variable "function_alias" {
  description = "Alias that the gateway calls, and it alone."
  type        = string
  default     = "live"
}

variable "worker_application_id" {
  description = "Id of the workers' application, which the deployer rolls."
  type        = string
}

variable "log_project" {
  description = "Log Service project."
  type        = string
}

variable "logstores" {
  description = "Logstores of function and worker: each writes its own and no other."
  type = object({
    function = string
    worker   = string
  })
}

variable "vpc_id" {
  description = "VPC that the gateway may call the function from, where the platform tells it (`acs:SourceVpc`, likely); null for no such condition. API Gateway calls from outside, so leave it null unless the gateway's instance is in the VPC."
  type        = string
  default     = null
}

variable "function_platform_rights" {
  description = "Whether the function's role also has what the platform needs to join a VPC. Normally the platform's own service role has it (AliyunServiceRoleForFC; likely): set it only if a deployment says that the function's role lacks a right."
  type        = bool
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
  description = "Secrets in KMS that a release reads: the migrator's address of the database, the worker's password at the broker."
  type        = list(string)
  default     = []
}

variable "secrets_key_id" {
  description = "Key that these secrets are encrypted with: reading one asks for the right to decrypt by it as well (likely). Null: none is asked for."
  type        = string
  default     = null
}

variable "github" {
  description = "Whom the pipeline's roles trust: repository `owner/name`, its environments (`prod`), the audience of the token; `oidc_provider_arn`, if the account has a provider for GitHub already (it can have one alone), whose name must then stay. Null: no pipeline, and nobody is trusted."
  type = object({
    repository        = string
    environments      = list(string)
    audience          = optional(string, "sts.aliyuncs.com")
    oidc_provider_arn = optional(string)
  })
  default = null

  validation {
    condition     = var.github == null || try(can(regex("^[A-Za-z0-9._-]+/[A-Za-z0-9._-]+$", var.github.repository)), false)
    error_message = "github.repository must be owner/name, without wildcards: with one, others' workflows could deploy."
  }
  validation {
    condition     = var.github == null || try(length(var.github.environments) > 0 && alltrue([for environment in var.github.environments : can(regex("^[A-Za-z0-9_-]+$", environment))]), false)
    error_message = "github.environments must be names, at least one: a branch alone asks nobody for approval."
  }
}

variable "github_fingerprints" {
  description = "Fingerprints of the certificate authority of GitHub's tokens; null takes none, where the service then checks by its own list (likely)."
  type        = set(string)
  default     = null
}
