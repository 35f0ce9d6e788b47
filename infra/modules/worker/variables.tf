variable "name" {
  description = "Prefix of every name, such as `spillway-prod`; the root checks it."
  type        = string
}

variable "tags" {
  description = "Tags of application and load balancer."
  type        = map(string)
  default     = {}
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
  description = "Container Registry enterprise instance of the image; null for the personal edition."
  type        = string
  default     = null
}

variable "registry_role_arn" {
  description = "Role for pulling from another account's registry; null for this account's."
  type        = string
  default     = null
}

variable "command_args" {
  description = "Arguments for the image's entry point."
  type        = list(string)
  default     = ["run"]
}

variable "vpc_id" {
  description = "VPC of workers and load balancer."
  type        = string
}

variable "vswitch_ids" {
  description = "vSwitches of the workers by zone, at least two."
  type        = map(string)

  validation {
    condition     = length(var.vswitch_ids) >= 2 && length(distinct(values(var.vswitch_ids))) == length(var.vswitch_ids)
    error_message = "vswitch_ids must be in at least two zones: with one zone, its loss stops the drain."
  }
}

variable "security_group_id" {
  description = "Security group of the workers: egress to database, broker and webhooks; ingress to the query and admin ports."
  type        = string
}

variable "replicas" {
  description = "Workers, 2 to 50. More of them do not raise the pool's cap. Twice their database connections must fit into `database_connections_max`: connections of killed workers count until the server detects the loss."
  type        = number
  default     = 4

  validation {
    condition     = var.replicas >= 2 && var.replicas <= 50 && floor(var.replicas) == var.replicas
    error_message = "replicas must be 2 to 50: a single worker leaves none during its restart."
  }
  validation {
    condition     = 2 * var.replicas * (var.database_writers_max + var.database_readers_max + 2) <= var.database_connections_max
    error_message = "the workers open more connections than database_connections_max: use fewer workers or writers, or a larger class."
  }
  validation {
    condition     = 40 * var.replicas * (var.database_writers_max + var.database_readers_max + 1) <= 16382
    error_message = "the workers may prepare more than 16,382 statements, 40 on each connection: the server's default of max_prepared_stmt_count. Use fewer workers or writers."
  }
}

variable "database_connections_max" {
  description = "Connection limit of the database, `connections_max` of the database's module."
  type        = number
}

variable "database_writers_max" {
  description = "Write connections of a worker, 1 to 32 (`--database-writers-max`). More connections are not faster."
  type        = number
  default     = 4

  validation {
    condition     = var.database_writers_max >= 1 && var.database_writers_max <= 32
    error_message = "database_writers_max must be 1 to 32."
  }
}

variable "database_readers_max" {
  description = "Read connections of a worker for lookups, 1 to 32 (`--database-readers-max`)."
  type        = number
  default     = 2

  validation {
    condition     = var.database_readers_max >= 1 && var.database_readers_max <= 32
    error_message = "database_readers_max must be 1 to 32."
  }
}

variable "cpu_millicores" {
  description = "CPU of a worker, thousandths of a core: 500, 1000, 2000, 4000, 8000."
  type        = number
  default     = 1000

  validation {
    condition     = contains([500, 1000, 2000, 4000, 8000], var.cpu_millicores)
    error_message = "cpu_millicores must be 500, 1000, 2000, 4000 or 8000."
  }
}

variable "memory_mb" {
  description = "Memory of a worker, MB: 1024, 2048, 4096, 8192, 16384; 1 to 4 GB for each core (likely: the platform pairs them)."
  type        = number
  default     = 2048

  validation {
    condition     = contains([1024, 2048, 4096, 8192, 16384], var.memory_mb)
    error_message = "memory_mb must be 1024, 2048, 4096, 8192 or 16384."
  }
  validation {
    condition     = var.memory_mb * 1000 >= var.cpu_millicores * 1024 && var.memory_mb * 1000 <= 4 * var.cpu_millicores * 1024
    error_message = "memory_mb must be 1 to 4 GB for each core."
  }
}

variable "environment" {
  description = "Environment of drain-worker: `SPILLWAY_…`. Secrets in it are in the state; use `secrets` to avoid that. The module sets addresses, limits and the initial rate."
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
    condition = alltrue([
      for key in ["SPILLWAY_DATABASE_URL", "SPILLWAY_ADMIN_TOKEN"] :
      contains(keys(var.environment), key) || contains(keys(var.secrets), key)
    ])
    error_message = "environment or secrets must contain SPILLWAY_DATABASE_URL and SPILLWAY_ADMIN_TOKEN: probes need the admin port on an address, and without a token it has no authentication."
  }
  validation {
    condition     = !contains(keys(var.environment), "SPILLWAY_ADMIN_TOKEN") || length(lookup(var.environment, "SPILLWAY_ADMIN_TOKEN", "")) >= 16
    error_message = "SPILLWAY_ADMIN_TOKEN must have at least 16 characters."
  }
  validation {
    condition = (
      !(contains(keys(var.environment), "SPILLWAY_IDENTITY_HEADER") || contains(keys(var.secrets), "SPILLWAY_IDENTITY_HEADER")) ||
      contains(keys(var.environment), "SPILLWAY_GATEWAY_SECRETS") || contains(keys(var.secrets), "SPILLWAY_GATEWAY_SECRETS")
    )
    error_message = "environment must contain SPILLWAY_GATEWAY_SECRETS with SPILLWAY_IDENTITY_HEADER: any client can forge an unsigned header."
  }
}

variable "secrets" {
  description = "Environment variables with values in a secret of the namespace, by variable name: id of the secret and key in it. Make such secrets in the console or by the API; the provider has no resource for them."
  type = map(object({
    secret_id = number
    key       = string
  }))
  default = {}

  validation {
    condition     = alltrue([for name in keys(var.secrets) : can(regex("^SPILLWAY_[A-Z0-9_]+$", name))])
    error_message = "secrets must have names of drain-worker's variables, SPILLWAY_…."
  }
}

variable "initial_rate" {
  description = "Cap in a new database, orders a second (`--initial-rate`). Afterwards operators set the cap (`drain-worker rate set`), and this value has no effect."
  type        = number
  default     = 2000

  validation {
    condition     = var.initial_rate >= 1
    error_message = "initial_rate must be at least 1."
  }
}

variable "query_port" {
  description = "Port of lookups in the container."
  type        = number
  default     = 9100

  validation {
    condition     = var.query_port >= 1024 && var.query_port <= 65535
    error_message = "query_port must be 1024 to 65535: the image's user is not root."
  }
}

variable "admin_port" {
  description = "Port of console, control API, metrics and probes in the container. Only the platform's probes and operators in the VPC reach it."
  type        = number
  default     = 9101

  validation {
    condition     = var.admin_port >= 1024 && var.admin_port <= 65535 && var.admin_port != var.query_port
    error_message = "admin_port must be 1024 to 65535 and differ from query_port, which buyers reach."
  }
}

variable "query_host" {
  description = "Host name of lookups at the load balancer. It is in no DNS."
  type        = string
  default     = "query.spillway.internal"
}

variable "load_balancer_edition" {
  description = "Edition of the load balancer, `Basic` or `Standard`. Both forward by host and path; that the platform's ingress accepts Basic is likely."
  type        = string
  nullable    = false
  default     = "Standard"

  validation {
    condition     = contains(["Basic", "Standard"], var.load_balancer_edition)
    error_message = "load_balancer_edition must be Basic or Standard."
  }
}

variable "drain_grace_s" {
  description = "Time for a worker to stop, s, 5 to 50 (`--grace-ms`): it commits batches in flight and nacks all other messages."
  type        = number
  default     = 20

  validation {
    condition     = var.drain_grace_s >= 5 && var.drain_grace_s <= 50
    error_message = "drain_grace_s must be 5 to 50."
  }
}

variable "grace_s" {
  description = "Time until the platform kills a worker, s, at least `drain_grace_s` + 5, at most 60."
  type        = number
  default     = 40

  validation {
    condition     = var.grace_s >= var.drain_grace_s + 5 && var.grace_s <= 60
    error_message = "grace_s must be at least drain_grace_s + 5 and at most 60: the share of a killed worker is idle until its lease expires."
  }
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
