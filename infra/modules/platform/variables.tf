variable "name" {
  description = "Prefix of every name, such as `spillway-prod`: 3 to 24 lower-case letters, digits and dashes, beginning with a letter and not ending with a dash."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,22}[a-z0-9]$", var.name))
    error_message = "name must be 3 to 24 lower-case letters, digits and dashes, beginning with a letter and not ending with a dash."
  }
}

variable "region" {
  description = "Region, such as `cn-hangzhou`: one whose quotas carry the sale, see infra/README.md."
  type        = string
}

variable "account_id" {
  description = "Id of the account, for the names of resources in policies."
  type        = string

  validation {
    condition     = can(regex("^[0-9]{5,20}$", var.account_id))
    error_message = "account_id must be digits."
  }
}

variable "tags" {
  description = "Tags of everything that takes them."
  type        = map(string)
  default     = {}
}

variable "subnets" {
  description = "For each zone, at least two: the ranges of functions, workers and data. Data ranges lie within 10.0.2.0/24, which is what the security groups know as the data range."
  type = list(object({
    zone          = string
    function_cidr = string
    worker_cidr   = string
    data_cidr     = string
  }))
}

variable "images" {
  description = "Both images by digest, `…@sha256:…`, or by the tag of `build-and-push`. Terraform takes them at the first apply; after that the deployment sets them, and Terraform leaves them alone."
  type = object({
    ingest_fn    = string
    drain_worker = string
  })
}

variable "catalogue_path" {
  description = "Where the catalogue is in both images: laid on top of them by the deployment."
  type        = string
  default     = "/sales.toml"
}

variable "sale_windows" {
  description = "Sales by the clock of `time_zone`: from when until when, and how many instances are warm (`loadtest plan`). They are up `warm_lead_min` before, and 0 after."
  type = list(object({
    name      = string
    opens_at  = string
    closes_at = string
    instances = number
  }))
  default = []
}

variable "time_zone" {
  description = "Time zone of `sale_windows`, such as `Asia/Shanghai`."
  type        = string
  default     = "Asia/Shanghai"
}

variable "function" {
  description = "Size of the function (`loadtest plan`): `cpu` in vCPU, `memory_mb`, `concurrency` in requests an instance, `reserved_concurrency` in instances at most, `warm_lead_min` in minutes; `in_vpc`: needed as long as the broker has no public endpoint, costs 0.5 to 1.5 s at a cold start under a burst (by the article)."
  type = object({
    cpu                  = number
    memory_mb            = number
    concurrency          = optional(number, 100)
    reserved_concurrency = number
    warm_lead_min        = optional(number, 10)
    always_allocate_cpu  = optional(bool, false)
    in_vpc               = optional(bool, true)
  })

  validation {
    condition     = var.function.in_vpc
    error_message = "function.in_vpc must be true: the broker has an endpoint in the VPC alone."
  }
}

variable "worker" {
  description = "The pool: workers at least and at most, thousandths of a core and MB of each; `initial_rate`, the cap that a new database begins with, orders a second (a change rolls the workers, and is read by none that is there); `receive_tps_max`, the broker's fence, messages a second that the pool is given at most, twice the seed unless given: raise it before operators raise the cap above it."
  type = object({
    replicas_min    = optional(number, 2)
    replicas_max    = number
    cpu_millicores  = optional(number, 1000)
    memory_mb       = optional(number, 2048)
    initial_rate    = optional(number, 2000)
    receive_tps_max = optional(number)
  })
}

variable "broker" {
  description = "RocketMQ: series, sub-series, class (`loadtest plan`), and how long messages are kept, hours (workers are told, so a change rolls them)."
  type = object({
    series      = optional(string, "standard")
    sub_series  = optional(string, "serverless")
    spec        = string
    retention_h = optional(number, 72)
  })
}

variable "database" {
  description = "The database: `engine` (`polardb` or `rds`), class and number of nodes, days of backup; `connections_max` of the class, which must be given with `rds` and for a class that the database's module does not know; `storage_gb`, the disk of an RDS instance."
  type = object({
    engine          = optional(string, "polardb")
    node_class      = string
    node_count      = optional(number, 2)
    connections_max = optional(number)
    storage_gb      = optional(number, 100)
    backup_days     = optional(number, 7)
  })
}

variable "gateway" {
  description = "The front door: a dedicated instance or null, who checks strangers (`backend`: `fc` or `http`), the key that tokens are checked with, requests a second of orders and look-ups, domain; `log`: whether calls are logged, which a region of an account can do to one place alone: of two environments in one, let one go without."
  type = object({
    instance           = optional(object({ spec = string, zone_id = string }))
    backend            = optional(string, "fc")
    jwk                = optional(map(string))
    anonymous          = optional(bool, false)
    orders_per_second  = number
    lookups_per_second = number
    domain             = optional(object({ name = string, zone = optional(string) }))
    log                = optional(bool, true)
  })
}

variable "nat" {
  description = "Way to the internet: number of addresses, and Mbit/s of each."
  type = object({
    eip_count      = optional(number, 1)
    bandwidth_mbps = optional(number, 10)
  })
  default = {}
}

variable "registry" {
  description = "Class and payment of the registry, how many tags it keeps, and who reaches it from the internet, by name (`push_cidrs`): whoever builds. The deployment's runner does in any case."
  type = object({
    instance_type = optional(string, "Basic")
    payment       = optional(string, "PayAsYouGo")
    tags_kept     = optional(number, 30)
    push_cidrs    = optional(map(string), {})
  })
  default = {}
}

variable "operator_cidr" {
  description = "Range of the vSwitch for the deployment's runner and operators' machines: see the network's variable of this name."
  type        = string
  default     = "10.0.5.0/24"
  nullable    = false
}

variable "webhook_cidrs" {
  description = "Where workers may call out to, on port 443: see the network's variable of this name. Without it the NAT gateway leads operators out, and nobody else."
  type        = list(string)
  default     = []
}

variable "alerts" {
  description = "When the broker's alarms fire: `broker_messages` that wait, the oldest for `oldest_message_h` hours. From `loadtest plan`: more than the sale leaves, and twice as long as its last order waits; below half of the broker's retention in any case."
  type = object({
    broker_messages  = optional(number, 100000)
    oldest_message_h = optional(number, 1)
  })
  default = {}

  validation {
    condition     = var.alerts.oldest_message_h <= var.broker.retention_h / 2
    error_message = "alerts.oldest_message_h must be at most half of broker.retention_h: at its end accepted orders are dropped."
  }
}

variable "operator_peer_cidrs" {
  description = "Private networks joined to the VPC from which operators may reach the workers' admin port and a shell in their own vSwitch, and nothing else."
  type        = list(string)
  default     = []
}

variable "deletion_protection" {
  description = "Refuse to delete what others know or what holds orders and keys: database, KMS key and secrets, elastic addresses, the look-ups' load balancer. Must be off, and applied, before `terraform destroy`."
  type        = bool
  default     = true
}

variable "kms_instance_id" {
  description = "KMS instance of keys and secrets; null for the account's shared service."
  type        = string
  default     = null
}

variable "github" {
  description = "Who may deploy: repository `owner/name`, its environments, and the account's provider for GitHub if there is one already (`oidc_provider_arn`). Null: nobody by pipeline."
  type = object({
    repository        = string
    environments      = list(string)
    oidc_provider_arn = optional(string)
  })
  default = null
}

variable "contacts" {
  description = "Who is told when an alert fires."
  type = list(object({
    name  = string
    email = string
  }))

  validation {
    condition     = length(var.contacts) > 0
    error_message = "contacts must name somebody: an alert that nobody gets is none."
  }
}

variable "log_retention_days" {
  description = "How long logs are kept, days."
  type        = number
  default     = 30
}

variable "audit_trail" {
  description = "Record who changed what in the account (ActionTrail). One for an account is enough."
  type        = bool
  default     = true
}

variable "secrets" {
  description = <<-EOT
    Everything that must not be known, each at least 8 characters, by the environment (`TF_VAR_secrets`), never by a file of the repository:
    `broker_function`: name and password of the function's account at the broker (`name=password[,name=password]` while one takes the other's place: the next release brings the first; names of 1 to 16 lower-case letters and digits); `broker_worker`: password of the workers' account; `database_worker`, `database_migrator`, `database_tune`: those of the database's; `gateway`: name and secret of the backend signature (`name=secret[,name=secret…]` while one takes another's place: the gateway signs with the first); `admin_token`: bearer token of the drain's control API; `order_id_keys`: ingest-fn's `name=hex[,…]`.
  EOT
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

  validation {
    condition     = alltrue([for entry in split(",", var.secrets.broker_function) : can(regex("^[a-z0-9]{1,16}=.{8,128}$", entry))])
    error_message = "secrets.broker_function must be name=password[,name=password]."
  }
  validation {
    condition     = length(distinct([for entry in split(",", var.secrets.broker_function) : split("=", entry)[0]])) == length(split(",", var.secrets.broker_function))
    error_message = "secrets.broker_function must have two different names: the version that runs has the one account, the next the other."
  }
  validation {
    condition     = alltrue([for entry in split(",", var.secrets.gateway) : can(regex("^[A-Za-z0-9_-]+=.{8,}$", entry))])
    error_message = "secrets.gateway must be name=secret[,name=secret…]."
  }
  validation {
    condition     = alltrue([for entry in split(",", var.secrets.order_id_keys) : can(regex("^[A-Za-z0-9_-]+=[0-9a-fA-F]{64,}$", entry))])
    error_message = "secrets.order_id_keys must be name=hex[,name=hex…], at least 64 hexadecimal digits each."
  }
  validation {
    condition     = length(var.secrets.admin_token) >= 16
    error_message = "secrets.admin_token must have at least 16 characters."
  }
}
