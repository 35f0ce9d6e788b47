variable "name" {
  description = "Prefix of every name, such as `spillway-prod`: 3 to 24 lower-case letters, digits and dashes, beginning with a letter."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{2,23}$", var.name))
    error_message = "name must be 3 to 24 lower-case letters, digits and dashes, beginning with a letter."
  }
}

variable "tags" {
  description = "Tags of application and load balancer."
  type        = map(string)
  default     = {}
}

variable "image" {
  description = "drain-worker's image by digest: `…/drain-worker@sha256:…`; or by the tag of `build-and-push`, `<commit>-<catalogue>`, which is never moved."
  type        = string

  validation {
    condition     = can(regex("^[a-z0-9][a-z0-9.:/_-]*(@sha256:[0-9a-f]{64}|:[0-9a-f]{12}-[0-9a-f]{12})$", var.image))
    error_message = "image must be given by digest, …@sha256: and 64 hexadecimal digits, or by the tag that infra/deploy/build-and-push gives, …:<commit>-<catalogue>."
  }
}

variable "registry_instance_id" {
  description = "Instance of the Container Registry's enterprise edition that the image is in; null for the personal edition."
  type        = string
  default     = null
}

variable "registry_role_arn" {
  description = "Role for pulling from another account's registry; null for one's own."
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
    error_message = "vswitch_ids must be in two zones at least: with one, a zone's end is the drain's."
  }
}

variable "security_group_id" {
  description = "Security group of the workers: out to database, broker and what webhooks need; in to the query port alone."
  type        = string
}

variable "replicas_min" {
  description = "Workers there are at least, 2 to 50."
  type        = number
  default     = 2

  validation {
    condition     = var.replicas_min >= 2 && var.replicas_min <= 50 && floor(var.replicas_min) == var.replicas_min
    error_message = "replicas_min must be 2 to 50: one alone is none while it restarts."
  }
}

variable "replicas_max" {
  description = "Workers there are at most, up to 50. Their connections to the database, counted twice for those that were killed and that the server has not noticed yet, must fit into `database_connections_max`."
  type        = number
  default     = 8

  validation {
    condition     = var.replicas_max >= var.replicas_min && var.replicas_max <= 50 && floor(var.replicas_max) == var.replicas_max
    error_message = "replicas_max must be replicas_min to 50."
  }
  validation {
    condition     = 2 * var.replicas_max * (var.database_writers_max + var.database_readers_max + 2) <= var.database_connections_max
    error_message = "replicas_max workers open more connections than the database has: take fewer workers or writers, or a larger class."
  }
}

variable "database_connections_max" {
  description = "Connections that the database allows, `connections_max` of the database's module."
  type        = number
}

variable "database_writers_max" {
  description = "Connections of a worker that write, 1 to 32 (`--database-writers-max`). More are not more speed."
  type        = number
  default     = 4

  validation {
    condition     = var.database_writers_max >= 1 && var.database_writers_max <= 32
    error_message = "database_writers_max must be 1 to 32."
  }
}

variable "database_readers_max" {
  description = "Connections of a worker for look-ups, 1 to 32 (`--database-readers-max`)."
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
  description = "Environment of drain-worker: `SPILLWAY_…`. Secrets may be in it, and are in the state then; `secrets` keeps them out. Addresses, bounds and the cap's seed are set by the module."
  type        = map(string)
  sensitive   = true

  validation {
    condition = length(setintersection(keys(var.environment), [
      "SPILLWAY_INITIAL_RATE", "SPILLWAY_QUERY_LISTEN", "SPILLWAY_ADMIN_LISTEN", "SPILLWAY_DRAIN_GRACE_MS",
      "SPILLWAY_DATABASE_WRITERS_MAX", "SPILLWAY_DATABASE_READERS_MAX", "SPILLWAY_WORKER_NAME", "SPILLWAY_MIGRATE_ON_START",
    ])) == 0
    error_message = "environment must not hold what the module sets (cap, ports, bounds), nor a worker's name, which replicas would share."
  }
  validation {
    condition = alltrue([
      for key in ["SPILLWAY_DATABASE_URL", "SPILLWAY_ADMIN_TOKEN"] :
      contains(keys(var.environment), key) || contains(keys(var.secrets), key)
    ])
    error_message = "environment or secrets must hold SPILLWAY_DATABASE_URL, and SPILLWAY_ADMIN_TOKEN: the probes need the admin port on an address, and it has no guard without a token."
  }
  validation {
    condition     = !contains(keys(var.environment), "SPILLWAY_ADMIN_TOKEN") || length(lookup(var.environment, "SPILLWAY_ADMIN_TOKEN", "")) >= 16
    error_message = "SPILLWAY_ADMIN_TOKEN must be 16 characters at least."
  }
  validation {
    condition = (
      !(contains(keys(var.environment), "SPILLWAY_IDENTITY_HEADER") || contains(keys(var.secrets), "SPILLWAY_IDENTITY_HEADER")) ||
      contains(keys(var.environment), "SPILLWAY_GATEWAY_SECRETS") || contains(keys(var.secrets), "SPILLWAY_GATEWAY_SECRETS")
    )
    error_message = "environment must hold SPILLWAY_GATEWAY_SECRETS beside SPILLWAY_IDENTITY_HEADER: an unsigned header is anybody's word."
  }
}

variable "secrets" {
  description = "Variables of the environment whose values are in a secret of the application's namespace, by the variable's name: the secret's id and the key in it. Such secrets are made in the console or by its API; the provider has no resource for them."
  type = map(object({
    secret_id = number
    key       = string
  }))
  default = {}

  validation {
    condition     = alltrue([for name in keys(var.secrets) : can(regex("^SPILLWAY_[A-Z0-9_]+$", name))])
    error_message = "secrets must be named as drain-worker's variables are, SPILLWAY_…."
  }
}

variable "initial_rate" {
  description = "Orders a second that a database which is new to the pool begins with (`--initial-rate`). Afterwards operators set the cap (`drain-worker rate set`), and this is never read again."
  type        = number
  default     = 2000

  validation {
    condition     = var.initial_rate >= 1
    error_message = "initial_rate must be at least 1."
  }
}

variable "query_port" {
  description = "Port of look-ups in the container."
  type        = number
  default     = 9100

  validation {
    condition     = var.query_port >= 1024 && var.query_port <= 65535
    error_message = "query_port must be 1024 to 65535: the image's user is not root."
  }
}

variable "admin_port" {
  description = "Port of console, control API, metrics and probes in the container. Nothing leads to it but the platform's probes and, from within the VPC, operators."
  type        = number
  default     = 9101

  validation {
    condition     = var.admin_port >= 1024 && var.admin_port <= 65535 && var.admin_port != var.query_port
    error_message = "admin_port must be 1024 to 65535, and another one than query_port: buyers reach that."
  }
}

variable "query_host" {
  description = "Host name that the load balancer answers look-ups for. It is no name in any DNS."
  type        = string
  default     = "query.spillway.internal"
}

variable "load_balancer_edition" {
  description = "Edition of the load balancer, `Basic` or `Standard`. Both forward by host and path; that the platform's ingress takes Basic is likely."
  type        = string
  default     = "Standard"

  validation {
    condition     = contains(["Basic", "Standard"], var.load_balancer_edition)
    error_message = "load_balancer_edition must be Basic or Standard."
  }
}

variable "drain_grace_s" {
  description = "How long a worker may take to stop by itself, s, 5 to 50 (`--grace-ms`): batches under way are committed, the rest is given back."
  type        = number
  default     = 20

  validation {
    condition     = var.drain_grace_s >= 5 && var.drain_grace_s <= 50
    error_message = "drain_grace_s must be 5 to 50."
  }
}

variable "grace_s" {
  description = "How long the platform waits before it kills, s, at least 5 more than `drain_grace_s`, at most 60."
  type        = number
  default     = 40

  validation {
    condition     = var.grace_s >= var.drain_grace_s + 5 && var.grace_s <= 60
    error_message = "grace_s must be at least 5 s more than drain_grace_s, and at most 60: killed in mid-transaction, a worker's share is lost until its lease lapses."
  }
}

variable "lag_scaling" {
  description = "Scaling by need: `cpu_percent`, the mean use of CPU that is aimed at; steps and the time that a need must last, s. Null: as many workers as `replicas_min`, always."
  type = object({
    cpu_percent  = optional(number, 60)
    up_step      = optional(number, 2)
    up_after_s   = optional(number, 60)
    down_step    = optional(number, 1)
    down_after_s = optional(number, 600)
  })
  default = {}

  validation {
    condition     = var.lag_scaling == null || try(var.lag_scaling.cpu_percent >= 20 && var.lag_scaling.cpu_percent <= 90, false)
    error_message = "lag_scaling.cpu_percent must be 20 to 90."
  }
  validation {
    condition     = var.lag_scaling == null || try(var.lag_scaling.down_after_s >= var.lag_scaling.up_after_s, false)
    error_message = "lag_scaling.down_after_s must not be below up_after_s: the pool would swing."
  }
}

variable "log" {
  description = "Where standard output goes."
  type = object({
    project  = string
    logstore = string
  })
}

variable "deletion_protection" {
  description = "Refuse to delete the load balancer; the gateway is bound to it."
  type        = bool
  default     = true
}
