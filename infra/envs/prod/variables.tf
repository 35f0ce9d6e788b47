variable "name" {
  description = "Prefix of every name."
  type        = string
  default     = "spillway-prod"
}

variable "region" {
  description = "Region."
  type        = string
  default     = "cn-hangzhou"
}

variable "zones" {
  description = "Two zones of the region, by their last letter; both must have Function Compute, SAE, RocketMQ and PolarDB."
  type        = list(string)
  default     = ["j", "k"]

  validation {
    condition     = length(var.zones) == 2 && length(distinct(var.zones)) == 2
    error_message = "zones must be two different zones."
  }
}

variable "ingest_image" {
  description = "ingest-fn's image by digest, or by the tag of `build-and-push`, from the registry made here. First use: see \"First deployment\" in infra/README.md."
  type        = string
}

variable "worker_image" {
  description = "drain-worker's image, by digest or by tag like `ingest_image`."
  type        = string
}

variable "secrets" {
  description = "See `secrets` of the platform module. Set TF_VAR_secrets, never a file of the repository."
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
  description = "Recipients of alerts."
  type = list(object({
    name  = string
    email = string
  }))
}

variable "github" {
  description = "Workflows that may deploy; null for no pipeline."
  type = object({
    repository   = string
    environments = list(string)
    # The first environment's provider: an account has one provider for GitHub.
    oidc_provider_arn = optional(string)
  })
  default = null
}

variable "operator_peer_cidrs" {
  description = "Private networks joined to the VPC from which operators reach the workers' admin port and a shell in the operators' vSwitch. The operators' vSwitch itself (output `operators`) always has access."
  type        = list(string)
  default     = []
}

variable "push_cidrs" {
  description = "Ranges that reach the registry's public endpoint, by name, such as `{ ci = \"198.51.100.7/32\" }`: the machine of the first deployment, and the pipeline's build machines. Use `0.0.0.0/0` for GitHub's machines, whose addresses change: then the token is the only check."
  type        = map(string)
  default     = {}
}

variable "drain_receive_tps_max" {
  description = "Maximum messages a second that the broker delivers to the workers, at most ten times the initial rate; null for twice the initial rate. Raise it before operators raise the cap above it. A change does not roll the workers."
  type        = number
  default     = null
}

variable "deletion_protection" {
  description = "Protect database, elastic addresses and load balancer against deletion. Set it to false and apply before `terraform destroy`."
  type        = bool
  default     = true
}

variable "sale_windows" {
  description = "Sales: name, start and end in local time of the time zone, warm instances."
  type = list(object({
    name      = string
    opens_at  = string
    closes_at = string
    instances = number
  }))
  default = []
}

variable "time_zone" {
  description = "Time zone of the sales."
  type        = string
  default     = "Asia/Shanghai"
}

variable "jwk" {
  description = "Public RSA key of tokens: kty, n, e. Required, so that no client can order in another buyer's name."
  type        = map(string)
}

variable "gateway_zone_id" {
  description = "The gateway's zones, such as `cn-hangzhou-MAZ6`."
  type        = string
}

variable "domain" {
  description = "Domain of the API, and its zone if Alibaba Cloud DNS manages it."
  type = object({
    name = string
    zone = optional(string)
  })
}
