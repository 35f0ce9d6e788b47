variable "name" {
  description = "Prefix of every name, such as `spillway-prod`."
  type        = string
}

variable "tags" {
  description = "Tags of all resources."
  type        = map(string)
  default     = {}
}

variable "region" {
  description = "Region of the resources."
  type        = string
}

variable "account_id" {
  description = "The account's id, for the role's rights."
  type        = string
}

variable "vswitch_id" {
  description = "The operators' vSwitch."
  type        = string
}

variable "security_group_id" {
  description = "The operators' security group."
  type        = string
}

variable "instance_type" {
  description = "The machine's type: it pulls and runs images of a few MB, two vCPU and 4 GiB suffice."
  type        = string
  default     = "ecs.e-c1m2.large"
}

variable "github" {
  description = "The repository (`owner/name`) whose jobs the machine serves, and the id of the runner group (1: the default). A group of an organisation can be limited to the workflow `deploy.yml@refs/heads/main`: then no other workflow reaches this machine."
  type = object({
    repository      = string
    runner_group_id = optional(number, 1)
  })

  validation {
    condition     = can(regex("^[A-Za-z0-9-]+/[A-Za-z0-9._-]+$", var.github.repository))
    error_message = "github.repository must be owner/name."
  }
}

variable "labels" {
  description = "The runner's labels, as in `DEPLOY_RUNNER`."
  type        = list(string)
  default     = ["self-hosted", "spillway-vpc"]
}

variable "github_token_name" {
  description = "Encrypted parameter with a fine-grained token of GitHub that may administer this repository's runners (`administration: write`)."
  type        = string
}

variable "secret_names" {
  description = "Further encrypted parameters that the machine may read: the admin tokens, for operators who work on it."
  type        = list(string)
}

variable "registry" {
  description = "Registry to pull drain-worker's image from: instance and namespace."
  type        = object({ instance_id = string, namespace = string })
}

variable "runner" {
  description = "GitHub's runner (actions/runner): version, and SHA-256 of `actions-runner-linux-x64-VERSION.tar.gz` as you verified it. GitHub refuses versions of some months ago."
  type        = object({ version = string, sha256 = string })

  validation {
    condition     = can(regex("^[0-9]+\\.[0-9]+\\.[0-9]+$", var.runner.version)) && can(regex("^[0-9a-f]{64}$", var.runner.sha256))
    error_message = "runner must have a version such as 2.330.0 and a SHA-256."
  }
}

variable "cli" {
  description = "The vendor's CLI: version, and SHA-256 of `aliyun-cli-linux-VERSION-amd64.tgz` as you verified it."
  type        = object({ version = string, sha256 = string })

  validation {
    condition     = can(regex("^[0-9]+\\.[0-9]+\\.[0-9]+$", var.cli.version)) && can(regex("^[0-9a-f]{64}$", var.cli.sha256))
    error_message = "cli must have a version such as 3.4.11 and a SHA-256."
  }
}
