variable "name" {
  description = "Prefix of every name, such as `spillway-prod`."
  type        = string
}

variable "tags" {
  description = "Tags of all resources."
  type        = map(string)
  default     = {}
}

variable "resource_group_id" {
  description = "Resource group of the machine."
  type        = string
}

variable "region" {
  description = "Region of the machine and of its parameters."
  type        = string
}

variable "role_name" {
  description = "The machine's role, which the account's root makes (`NAME-runner`)."
  type        = string
}

variable "vswitch_id" {
  description = "The operators' vSwitch."
  type        = string
}

variable "ways_out" {
  description = "Whatever is known only when the vSwitch has a way out: the machine is made after it."
  type        = any
}

variable "security_group_id" {
  description = "The operators' security group."
  type        = string
}

variable "github_token_name" {
  description = "Encrypted parameter with a fine-grained token of GitHub: of the organisation, *Self-hosted runners: write* alone, with a `github.runner_group_id`; without one *Administration: write* of the repository, which may also remove the environments' reviewers."
  type        = string
}

variable "size" {
  description = "The machine: `github.repository` (`owner/name`), whose jobs it serves, and `github.runner_group_id`, a group of its organisation, limited to this repository and workflow (1: none, the machine registers with the repository); `runner` and `cli`: version, and SHA-256 as you verified it, of `actions-runner-linux-x64-VERSION.tar.gz` (GitHub refuses versions of some months ago) and of `aliyun-cli-linux-VERSION-amd64.tgz`; `instance_type`: two vCPU and 4 GiB suffice."
  type = object({
    github        = object({ repository = string, runner_group_id = optional(number, 1) })
    runner        = object({ version = string, sha256 = string })
    cli           = object({ version = string, sha256 = string })
    instance_type = optional(string)
  })

  validation {
    condition     = can(regex("^[A-Za-z0-9-]+/[A-Za-z0-9._-]+$", var.size.github.repository))
    error_message = "github.repository must be owner/name."
  }
  validation {
    condition = alltrue([
      for archive in [var.size.runner, var.size.cli] : can(regex("^[0-9]+\\.[0-9]+\\.[0-9]+$", archive.version)) && can(regex("^[0-9a-f]{64}$", archive.sha256))
    ])
    error_message = "runner and cli must each have a version such as 3.4.11 and a SHA-256."
  }
}
