variable "name" {
  description = "Prefix of the account's names, and with `-` and the environment's name of all others: 3 to 18 lower-case letters, digits and dashes, beginning with a letter and not ending with a dash."
  type        = string
  default     = "spillway"

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,16}[a-z0-9]$", var.name))
    error_message = "name must be 3 to 18 lower-case letters, digits and dashes, beginning with a letter and not ending with a dash."
  }
  # The API's page of CreateSecretParameter.
  validation {
    condition     = !can(regex("^(aliyun|acs|alibaba|alicloud|oos)", var.name))
    error_message = "name must not begin with aliyun, acs, alibaba, alicloud or oos: the platform reserves these."
  }
}

variable "region" {
  description = "Region of state, registry and policies, such as `cn-hangzhou`."
  type        = string
  default     = "cn-hangzhou"
}

variable "tags" {
  description = "Tags of all resources that support tags."
  type        = map(string)
  default     = { system = "spillway" }
}

variable "activate" {
  description = "Switch on the services that Spillway uses. The data sources that do it act whenever they are read, so already in `terraform plan`; some services are billed by use from then on. Set it for the first apply only."
  type        = bool
  default     = false
}

variable "state_bucket" {
  description = "Name of the bucket of the states, unique worldwide: 3 to 63 lower-case letters, digits and dashes."
  type        = string

  validation {
    condition     = can(regex("^[a-z0-9][a-z0-9-]{1,61}[a-z0-9]$", var.state_bucket))
    error_message = "state_bucket must be 3 to 63 lower-case letters, digits and dashes, not beginning or ending with a dash."
  }
}

variable "environments" {
  description = "Environments by name (a set of variables in infra/platform): `dns_zone`, the zone in Alibaba Cloud DNS of its domain; `catalogue`, `records_region`, as in the platform's variables; `deploys_one_application`, `function_platform_rights`: remedies, see the ram module."
  type = map(object({
    dns_zone                 = optional(string)
    catalogue                = optional(object({ bucket = string, folder = string }))
    records_region           = optional(string, "cn-heyuan")
    deploys_one_application  = optional(bool, true)
    function_platform_rights = optional(bool, false)
  }))
  default = { dev = {}, prod = {} }

  validation {
    condition     = alltrue([for name in keys(var.environments) : can(regex("^[a-z0-9]{1,5}$", name))])
    error_message = "environments must have names of 1 to 5 lower-case letters and digits: with the prefix, a name has at most 24 characters."
  }
}

variable "github" {
  description = "Repository `owner/name` whose workflows deploy. `audience` of the tokens; `fingerprints`, SHA-1, of the certificate authorities of GitHub's tokens, at most 5: the default is what GitHub published (\"OIDC integration with AWS no longer requires pinning\", 2023-06-27), and a change of the authority needs another. Null: no pipeline and no trust."
  type = object({
    repository   = string
    audience     = optional(string, "sts.aliyuncs.com")
    fingerprints = optional(set(string), ["6938fd4d98bab03faadb97b34396831e3780aea1", "1c58a3a8518e8759bf075b76b750d4f2df264fcd"])
  })
  default = null
}

variable "encryption_role" {
  description = "Make the role `AliyunRDSInstanceEncryptionDefaultRole`, by which PolarDB uses a key of KMS. False if the account has it: the console makes it for other databases."
  type        = bool
  default     = true
}

variable "registry" {
  description = "Class and payment of the registry, and number of tags that it retains: at least the releases that you may roll back."
  type = object({
    instance_type = optional(string, "Basic")
    payment       = optional(string, "PayAsYouGo")
    tags_kept     = optional(number, 30)
  })
  default = {}
}

variable "push_cidrs" {
  description = "Ranges that reach the registry's public endpoint, by name, such as `{ ci = \"198.51.100.7/32\" }`: the machine of the first deployment, and the pipeline's build machines. `0.0.0.0/0` for GitHub's machines, whose addresses change: then the token is the only check. Machines in a platform's VPC use the registry's endpoint there."
  type        = map(string)
}

variable "quotas" {
  description = "Quotas to ask for, by a name of your choice. Quota Center has the codes (`aliyun quotas ListProductQuotas --ProductCode fc`); infra/README.md, \"Limits\", has what a sale needs."
  type = map(object({
    product = string
    code    = string
    value   = number
    reason  = string
  }))
  default = {}
}
