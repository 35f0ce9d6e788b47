variable "name" {
  description = "Prefix of every name, such as `spillway-prod`: 3 to 24 lower-case letters, digits and dashes, beginning with a letter."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{2,23}$", var.name))
    error_message = "name must be 3 to 24 lower-case letters, digits and dashes, beginning with a letter."
  }
}

variable "tags" {
  description = "Tags of the plug-ins; the rest has none."
  type        = map(string)
  default     = {}
}

variable "instance" {
  description = "A dedicated instance, or null for the region's shared one. `spec`: `api.s1.small` (2,500 requests/s) to `api.s2.large.x5` (50,000) and `x6` (60,000); the prefix `api.` is likely for the large ones. `zone_id`: the vendor's name of a pair of zones, such as `cn-hangzhou-MAZ6`. Classes may not be changeable in place (likely): choose before the sale."
  type = object({
    spec         = string
    zone_id      = string
    https_policy = optional(string, "HTTPS2_TLS1_2")
  })
  default = null

  validation {
    condition     = var.instance == null || try(can(regex("^api\\.s[0-9]\\.[a-z]+(\\.x[0-9]+)?$", var.instance.spec)), false)
    error_message = "instance.spec must be such as api.s1.small or api.s2.large.x5."
  }
  validation {
    condition     = var.instance == null || try(endswith(var.instance.https_policy, "_TLS1_2") || endswith(var.instance.https_policy, "_TLS1_3"), false)
    error_message = "instance.https_policy must ask for TLS 1.2 at least."
  }
}

variable "region" {
  description = "Region of function and gateway, such as `cn-hangzhou`."
  type        = string

  validation {
    condition     = can(regex("^[a-z]{2}-[a-z0-9-]+$", var.region))
    error_message = "region must be such as cn-hangzhou."
  }
}

variable "backend" {
  description = "How the gateway calls the function: `fc` (as a function: it assumes `role_arn`, and the trigger's authorisation is the platform's) or `http` (by the address of its trigger, which must be `anonymous` then, with the gateway's signature as the only check)."
  type        = string
  default     = "fc"

  validation {
    condition     = contains(["fc", "http"], var.backend)
    error_message = "backend must be fc or http."
  }
}

variable "function" {
  description = "The function: `url` of its HTTP trigger at the alias; `role_arn` that the gateway assumes; `timeout_ms`, the longest wait for it, 9000 to 15000."
  type = object({
    url        = string
    role_arn   = string
    timeout_ms = optional(number, 10000)
  })

  validation {
    condition     = var.function.url == null ? true : can(regex("^https://[^/]+/?$", var.function.url))
    error_message = "function.url must be https:// and a host, without a path: the path is the route's."
  }
  validation {
    condition     = var.function.timeout_ms >= 9000 && var.function.timeout_ms <= 15000
    error_message = "function.timeout_ms must be 9000 to 15000: ingest-fn answers within 8 s, and nothing here waits longer."
  }
}

variable "worker_query" {
  description = "Where the workers' query port is: VPC, load balancer in front of it, its port, and the host name it asks for; `query_backend` of the worker's module. `timeout_ms`: 500 to 10000."
  type = object({
    vpc_id      = string
    instance_id = string
    port        = number
    host        = optional(string)
    timeout_ms  = optional(number, 3000)
  })

  validation {
    condition     = var.worker_query.timeout_ms >= 500 && var.worker_query.timeout_ms <= 10000
    error_message = "worker_query.timeout_ms must be 500 to 10000."
  }
}

variable "payment_webhooks" {
  description = "Route `POST /v1/payments/webhooks/{provider}` to the function. ingest-fn does not serve it yet."
  type        = bool
  default     = false
}

variable "webhook_headers" {
  description = "Headers of payment providers that are handed on, their signatures above all. Others are dropped."
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for header in var.webhook_headers : can(regex("^[A-Za-z][A-Za-z0-9-]{0,63}$", header))])
    error_message = "webhook_headers must be names of headers."
  }
}

variable "sale_lookups" {
  description = "Route `GET /v1/sales/{sale_id}` to the workers. drain-worker does not serve it yet."
  type        = bool
  default     = false
}

variable "backend_secret" {
  description = "Name and secret of the gateway's signature. The same pair goes to the services (`SPILLWAY_GATEWAY_SECRETS=key=secret`). Name: 6 to 20 letters, digits and `_`, beginning with a letter; secret: 8 to 30 characters, beginning with a letter, without a comma (bounds likely: they are those of the older signature keys). It is in the state."
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
  description = "Who the buyer is: `jwk`, the public RSA key that tokens are checked with (`kty`, `n`, `e`, and what else the issuer gives); `claim` that names the buyer; `identity_header` in which the backend is told. Null only with `anonymous`."
  type = object({
    jwk             = map(string)
    claim           = optional(string, "sub")
    identity_header = optional(string, "X-Spillway-User")
  })
  default = null

  validation {
    condition     = var.jwt == null || try(var.jwt.jwk["kty"] == "RSA" && contains(keys(var.jwt.jwk), "n") && contains(keys(var.jwt.jwk), "e"), false)
    error_message = "jwt.jwk must be a public RSA key: kty, n, e."
  }
  validation {
    condition     = var.jwt == null || try(length(setintersection(keys(var.jwt.jwk), ["d", "p", "q", "dp", "dq", "qi"])) == 0, false)
    error_message = "jwt.jwk must be the public key alone: it holds a private one, which the gateway has no business with."
  }
  validation {
    condition     = var.jwt == null || try(can(regex("^X-[A-Za-z0-9-]{1,62}$", var.jwt.identity_header)) && !startswith(lower(var.jwt.identity_header), "x-ca-") && !startswith(lower(var.jwt.identity_header), "x-fc-"), false)
    error_message = "jwt.identity_header must begin with X-, and not with X-Ca- or X-Fc-, which are the vendor's."
  }
  validation {
    condition     = var.jwt != null || var.anonymous
    error_message = "jwt must be given, or anonymous set: without a token everybody orders in everybody's name, and reads everybody's orders."
  }
}

variable "anonymous" {
  description = "Let everybody order in anybody's name and look at any order, if `jwt` is null. For development alone."
  type        = bool
  default     = false
}

variable "identity_parameter" {
  description = "Define the identity header as a parameter that clients may send. Off: whatever a client sends by that name is dropped before the token's claim is written there. On only if the backend finds the claim unsigned otherwise, and only after having seen that a client's header does not win."
  type        = bool
  default     = false
}

variable "require_content_md5" {
  description = "Ask clients for `Content-MD5` with each order. The vendor's page on backend signatures says that the gateway signs the body by this header of the client's, and nothing of it without one; see the README."
  type        = bool
  default     = false
}

variable "throttle" {
  description = "Requests a second that each route takes: `orders_per_second`, `lookups_per_second`, `webhooks_per_second`. `per_user_second`: of one caller, as the gateway knows callers (the account that owns the calling app), null for no such bound; it does not know buyers."
  type = object({
    orders_per_second   = number
    lookups_per_second  = number
    webhooks_per_second = optional(number, 200)
    per_user_second     = optional(number)
  })

  validation {
    condition     = var.throttle.orders_per_second >= 1 && var.throttle.lookups_per_second >= 1 && var.throttle.webhooks_per_second >= 1
    error_message = "throttle must allow one request a second at least."
  }
  validation {
    condition = var.throttle.per_user_second == null ? true : (
      var.throttle.per_user_second >= 1 && var.throttle.per_user_second <= min(
        var.throttle.orders_per_second, var.throttle.lookups_per_second, var.throttle.webhooks_per_second,
      )
    )
    error_message = "throttle.per_user_second must not be above any route's own bound: the gateway refuses that."
  }
}

variable "throttle_by_buyer" {
  description = "Throttling of the order routes by the token's claim, as the plug-in's whole configuration (JSON) in place of the one made here; null for none. That it can be done is certain, its fields are not known here."
  type        = string
  default     = null

  validation {
    condition     = var.throttle_by_buyer == null || can(jsondecode(var.throttle_by_buyer))
    error_message = "throttle_by_buyer must be JSON."
  }
}

variable "body_bytes_max" {
  description = "Longest body of a POST by its Content-Length, bytes, 1024 to 131072; null for none. Refused with 413 at the gateway. ingest-fn refuses more than 16384 in any case, chunked bodies too."
  type        = number
  default     = 16384

  validation {
    condition     = var.body_bytes_max == null || try(var.body_bytes_max >= 1024 && var.body_bytes_max <= 131072, false)
    error_message = "body_bytes_max must be 1024 to 131072."
  }
}

variable "domain" {
  description = "Domain of your own, such as `api.example.com`; null for the gateway's, which takes no more than 1,000 calls a day (100 outside the mainland; certain). `zone`: its zone in Alibaba Cloud DNS, for a CNAME; null if DNS is elsewhere. The provider cannot bind a domain or a certificate to a group: see the output `domain_steps`."
  type = object({
    name = string
    zone = optional(string)
  })
  default = null

  validation {
    condition     = var.domain == null || try(can(regex("^([a-z0-9-]+\\.)+[a-z]{2,}$", var.domain.name)), false)
    error_message = "domain.name must be such as api.example.com."
  }
  validation {
    condition     = try(var.domain.zone, null) == null ? true : endswith(var.domain.name, ".${var.domain.zone}")
    error_message = "domain.name must be within domain.zone."
  }
}

variable "log" {
  description = "Log Service project and logstore for the gateway's own log, or null. There is one such setting in a region and account, for all groups in it."
  type = object({
    project  = string
    logstore = string
  })
  default = null
}
