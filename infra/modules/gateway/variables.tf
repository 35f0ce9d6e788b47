variable "name" {
  description = "Prefix of every name, such as `spillway-prod`; the root checks it."
  type        = string
}

variable "tags" {
  description = "Tags of the plug-ins; other resources have none."
  type        = map(string)
  default     = {}
}

variable "instance" {
  description = "A dedicated instance, or null for the region's shared one. `spec`: `api.s1.small` (2,500 requests/s) to `api.s2.large.x5` (50,000) and `x6` (60,000); the prefix `api.` is likely for the large ones. `zone_id`: the vendor's name of a pair of zones, such as `cn-hangzhou-MAZ6`. Classes may not be changeable in place (likely): choose before the sale."
  type = object({
    spec    = string
    zone_id = string
  })
  default = null
}

variable "region" {
  description = "Region of function and gateway, such as `cn-hangzhou`."
  type        = string
}

variable "backend" {
  description = "How the gateway calls the function: `fc` (as a function, with `role_arn`, which the platform authorises) or `http` (by the URL of its trigger, which must then be `anonymous`, with the gateway's signature as the only check)."
  type        = string
  default     = "fc"
}

variable "function" {
  description = "The function: `url` of its HTTP trigger at the alias; `role_arn` that the gateway assumes."
  type = object({
    url      = string
    role_arn = string
  })

  validation {
    condition     = var.function.url == null ? true : can(regex("^https://[^/]+/?$", var.function.url))
    error_message = "function.url must be https:// and a host, without a path: the route has the path."
  }
}

variable "worker_query" {
  description = "Backend of lookups: VPC, load balancer, port and host name; `query_backend` of the worker's module."
  type = object({
    vpc_id      = string
    instance_id = string
    port        = number
    host        = string
  })
}

variable "backend_secret" {
  description = "Name and secret of the gateway's signature. The services need the same pair (`SPILLWAY_GATEWAY_SECRETS=key=secret`). Name: 6 to 20 letters, digits and `_`, beginning with a letter; secret: 8 to 30 characters, beginning with a letter, without a comma (bounds likely: those of the older signature keys). It is in the state."
  type = object({
    key    = string
    secret = string
  })
  sensitive = true

  validation {
    condition     = can(regex("^[A-Za-z][A-Za-z0-9_]{5,19}$", var.backend_secret.key))
    error_message = "backend_secret.key must be 6 to 20 letters, digits and _, beginning with a letter."
  }
  validation {
    condition     = can(regex("^[A-Za-z][^,\\s]{7,29}$", var.backend_secret.secret))
    error_message = "backend_secret.secret must be 8 to 30 characters, beginning with a letter, without a comma."
  }
}

variable "jwt" {
  description = "Authentication of buyers: `jwk`, the public RSA key of tokens (`kty`, `n`, `e`, and the issuer's other members); `identity_header` with the buyer's id, for the backend. Null only with `anonymous`."
  type = object({
    jwk             = map(string)
    identity_header = string
  })
  default = null

  validation {
    condition     = var.jwt == null || try(var.jwt.jwk["kty"] == "RSA" && contains(keys(var.jwt.jwk), "n") && contains(keys(var.jwt.jwk), "e"), false)
    error_message = "jwt.jwk must be a public RSA key: kty, n, e."
  }
  validation {
    condition     = var.jwt == null || try(length(setintersection(keys(var.jwt.jwk), ["d", "p", "q", "dp", "dq", "qi"])) == 0, false)
    error_message = "jwt.jwk must be a public key: it has private parts, which the gateway does not need."
  }
  validation {
    condition     = var.jwt == null || try(can(regex("^X-[A-Za-z0-9-]{1,62}$", var.jwt.identity_header)) && !startswith(lower(var.jwt.identity_header), "x-ca-") && !startswith(lower(var.jwt.identity_header), "x-fc-"), false)
    error_message = "jwt.identity_header must begin with X-, but not with X-Ca- or X-Fc-, which the vendor reserves."
  }
  validation {
    condition     = var.jwt != null || var.anonymous
    error_message = "jwt must be set, or anonymous must be true: without tokens any client can order in any buyer's name and read any order."
  }
}

variable "anonymous" {
  description = "Allow `jwt` to be null: any client can order in any buyer's name and read any order. For development only."
  type        = bool
  default     = false
}

variable "identity_parameter" {
  description = "Define the identity header as a route parameter. If false, the gateway drops a client's header of that name before it writes the claim. Set it only if the backend reports the claim as unsigned, and only after a test that a client's header does not override the claim."
  type        = bool
  nullable    = false
  default     = false
}

variable "throttle" {
  description = "Maximum requests a second of each route: `orders_per_second`, `lookups_per_second`."
  type = object({
    orders_per_second  = number
    lookups_per_second = number
  })
}

variable "throttle_by_buyer" {
  description = "Throttling of `POST /v1/orders` by the token's claim: the plug-in's whole configuration (JSON), which replaces the one made here; null for none. The feature is certain; its fields are unknown here."
  type        = string
  default     = null

  validation {
    condition     = var.throttle_by_buyer == null || can(jsondecode(var.throttle_by_buyer))
    error_message = "throttle_by_buyer must be JSON."
  }
}

variable "body_bytes_max" {
  description = "Maximum Content-Length of a POST, bytes, 1024 to 131072; null for no limit. The gateway answers 413 above it. ingest-fn rejects bodies above 16384 bytes in any case, including chunked bodies."
  type        = number
  default     = 16384
}

variable "domain" {
  description = "Domain of your own, such as `api.example.com`; null for the gateway's, which accepts 1,000 calls a day (100 outside mainland China; certain). `zone`: its zone in Alibaba Cloud DNS, for a CNAME; null if another service manages DNS; `front`: host that the CNAME names instead of the gateway, such as a firewall or a waiting room in front of it. The provider cannot bind a domain or a certificate to a group: `infra/deploy/domain` does."
  type = object({
    name  = string
    zone  = optional(string)
    front = optional(string)
  })
  default = null
  validation {
    condition     = try(var.domain.zone, null) == null ? true : endswith(var.domain.name, ".${var.domain.zone}")
    error_message = "domain.name must be within domain.zone."
  }
}

variable "log" {
  description = "Log Service project and logstore of the gateway's log, or null. A region of an account has one such setting for all groups."
  type = object({
    project  = string
    logstore = string
  })
  default = null
}
