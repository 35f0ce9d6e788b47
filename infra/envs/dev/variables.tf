variable "name" {
  description = "Prefix of every name."
  type        = string
  default     = "spillway-dev"
}

variable "region" {
  description = "Region."
  type        = string
  default     = "cn-hangzhou"
}

variable "zones" {
  description = "Two zones of the region, by their last letter: such that have Function Compute, SAE, RocketMQ and PolarDB."
  type        = list(string)
  default     = ["j", "k"]

  validation {
    condition     = length(var.zones) == 2 && length(distinct(var.zones)) == 2
    error_message = "zones must be two different ones."
  }
}

variable "ingest_image" {
  description = "ingest-fn's image by digest, or by the tag of `build-and-push`, from the registry that this makes: see \"First deployment\" in infra/README.md for the first time."
  type        = string
}

variable "worker_image" {
  description = "drain-worker's image, likewise."
  type        = string
}

variable "secrets" {
  description = "See the platform's variable of this name. By TF_VAR_secrets, never by a file of the repository."
  type = object({
    broker_function   = string
    broker_worker     = string
    database_worker   = string
    database_migrator = string
    database_tune     = string
    gateway           = string
    admin_token       = string
    order_id_keys     = string
  })
  sensitive = true
}

variable "contacts" {
  description = "Who is told when an alert fires."
  type = list(object({
    name  = string
    email = string
  }))
}

variable "github" {
  description = "Who may deploy by pipeline; null: nobody."
  type = object({
    repository   = string
    environments = list(string)
    # Of the environment that was there first: an account has one provider for GitHub.
    oidc_provider_arn = optional(string)
  })
  default = null
}

variable "operator_peer_cidrs" {
  description = "Private networks joined to the VPC from which operators reach the workers' admin port, and a shell where they are. From the vSwitch made for them (output `operators`) they do in any case."
  type        = list(string)
  default     = []
}

variable "push_cidrs" {
  description = "Who reaches the registry from the internet, by name, such as `{ ci = \"198.51.100.7/32\" }`: the machine of the first deployment, and what the pipeline builds on. `0.0.0.0/0` for GitHub's own machines, whose addresses change: then a token alone keeps others out."
  type        = map(string)
  default     = {}
}

variable "drain_receive_tps_max" {
  description = "The broker's fence: messages a second that the workers are given at most; null: twice the cap that the pool begins with. Raise it before operators raise the cap above it; up to ten times that cap. Workers are not rolled by it."
  type        = number
  default     = null
}

variable "deletion_protection" {
  description = "Refuse to delete database, keys, secrets, elastic addresses and load balancer. Off, and applied, before `terraform destroy`."
  type        = bool
  default     = false
}

variable "sale_windows" {
  description = "Sales: name, from when until when by the clock of the time zone, warm instances."
  type = list(object({
    name      = string
    opens_at  = string
    closes_at = string
    instances = number
  }))
  default = []
}

variable "jwk" {
  description = "Public RSA key that tokens are checked with; null: anybody may order in anybody's name, which only a try allows."
  type        = map(string)
  default     = null
}

variable "broker_spec" {
  description = "Serverless class of RocketMQ. The names are not in the documents that this was written by: look the smallest up."
  type        = string
}

variable "gateway_log" {
  description = "Whether the gateway's calls are logged: a region of an account logs to one place, so not beside another environment that does."
  type        = bool
  default     = true
}
