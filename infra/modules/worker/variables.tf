variable "name" {
  description = "Prefix of every name, such as `spillway-prod`; the root checks it."
  type        = string
}

variable "tags" {
  description = "Tags of application and load balancer."
  type        = map(string)
  default     = {}
}

variable "resource_group_id" {
  description = "Resource group of all resources that have one."
  type        = string
}

variable "image" {
  description = "drain-worker's image by digest: `…/drain-worker@sha256:…`; or by the immutable tag of `build-and-push`, `<commit>-<catalogue>`."
  type        = string

  validation {
    condition     = can(regex("^[a-z0-9][a-z0-9.:/_-]*(@sha256:[0-9a-f]{64}|:[0-9a-f]{12}-[0-9a-f]{12})$", var.image))
    error_message = "image must be given by digest, …@sha256: and 64 hexadecimal digits, or by the tag that infra/deploy/build-and-push gives, …:<commit>-<catalogue>."
  }
}

variable "registry_instance_id" {
  description = "Container Registry instance of the image."
  type        = string
}

variable "vpc_id" {
  description = "VPC of workers and load balancer."
  type        = string
}

variable "vswitch_ids" {
  description = "vSwitches of the workers by zone, at least two."
  type        = map(string)
}

variable "security_group_id" {
  description = "Security group of the workers: egress to database, broker and webhooks; ingress to the query and admin ports."
  type        = string
}

variable "database_connections_max" {
  description = "Connection limit of the database, `connections_max` of the database's module."
  type        = number
}

variable "size" {
  description = "Size of the pool, as in the platform's `worker`: `replicas`, 2 to 50 (more do not raise the cap; twice their database connections must fit into `database_connections_max`, because those of killed workers count until the server detects the loss); `cpu_millicores`, `memory_mb` of each, 1 to 4 GB for each core (likely: the platform pairs them); `initial_rate`, the cap in a new database, orders a second (`--initial-rate`; afterwards `drain-worker rate set`)."
  type = object({
    replicas       = number
    cpu_millicores = number
    memory_mb      = number
    initial_rate   = number
  })

  validation {
    condition     = var.size.replicas >= 2 && var.size.replicas <= 50
    error_message = "replicas must be 2 to 50: a single worker leaves none during its restart."
  }
  validation {
    condition     = 2 * var.size.replicas * (local.writers_max + local.readers_max + 2) <= var.database_connections_max
    error_message = "the workers open more connections than database_connections_max: use fewer workers, or a larger class."
  }
  # 40 on each connection; the server's default of max_prepared_stmt_count.
  validation {
    condition     = 40 * var.size.replicas * (local.writers_max + local.readers_max + 1) <= 16382
    error_message = "the workers may prepare more than 16,382 statements. Use fewer workers."
  }
  validation {
    condition     = var.size.memory_mb * 1000 >= var.size.cpu_millicores * 1024 && var.size.memory_mb * 1000 <= 4 * var.size.cpu_millicores * 1024
    error_message = "memory_mb must be 1 to 4 GB for each core."
  }
}

variable "environment" {
  description = "Environment of drain-worker: `SPILLWAY_…`. Secrets in it are in the state. The module sets addresses, limits and the initial rate."
  type        = map(string)
  sensitive   = true

  validation {
    condition = length(setintersection(keys(var.environment), [
      "SPILLWAY_INITIAL_RATE", "SPILLWAY_QUERY_LISTEN", "SPILLWAY_ADMIN_LISTEN", "SPILLWAY_DRAIN_GRACE_MS",
      "SPILLWAY_DATABASE_WRITERS_MAX", "SPILLWAY_DATABASE_READERS_MAX", "SPILLWAY_WORKER_NAME", "SPILLWAY_MIGRATE_ON_START",
    ])) == 0
    error_message = "environment must not contain variables that the module sets (initial rate, ports, limits), nor SPILLWAY_WORKER_NAME, which replicas would share."
  }
  validation {
    condition     = contains(keys(var.environment), "SPILLWAY_DATABASE_URL") && length(lookup(var.environment, "SPILLWAY_ADMIN_TOKEN", "")) >= 16
    error_message = "environment must contain SPILLWAY_DATABASE_URL, and SPILLWAY_ADMIN_TOKEN of at least 16 characters: probes need the admin port on an address, and without a token it has no authentication."
  }
  validation {
    condition     = !contains(keys(var.environment), "SPILLWAY_IDENTITY_HEADER") || contains(keys(var.environment), "SPILLWAY_GATEWAY_SECRETS")
    error_message = "environment must contain SPILLWAY_GATEWAY_SECRETS with SPILLWAY_IDENTITY_HEADER: any client can forge an unsigned header."
  }
}

variable "load_balancer_edition" {
  description = "Edition of the load balancer, `Basic` or `Standard`. Both forward by host and path; that the platform's ingress accepts Basic is likely."
  type        = string
  nullable    = false
  default     = "Standard"
}

variable "log" {
  description = "Log Service project and logstore for standard output."
  type = object({
    project  = string
    logstore = string
  })
}

variable "deletion_protection" {
  description = "Protect the load balancer against deletion; the gateway's VPC access depends on it."
  type        = bool
  default     = true
}
