variable "name" {
  description = "Prefix of every name, such as `spillway-prod`; the root checks it."
  type        = string
}

variable "tags" {
  description = "Tags of all resources that support tags."
  type        = map(string)
  default     = {}
}

variable "resource_group_id" {
  description = "Resource group of all resources that have one."
  type        = string
}

variable "subnets" {
  description = "Ranges of functions, workers and data in each zone, at least two zones. The number of addresses that a function uses is unknown: use at least a /24."
  type = list(object({
    zone          = string
    function_cidr = string
    worker_cidr   = string
    data_cidr     = string
  }))

  validation {
    condition     = length(var.subnets) >= 2 && length(distinct(var.subnets[*].zone)) == length(var.subnets)
    error_message = "subnets must have at least two zones, one entry each: with one zone, its loss stops everything."
  }
  validation {
    condition = alltrue([
      for subnet in var.subnets : alltrue([
        for cidr in [subnet.function_cidr, subnet.worker_cidr, subnet.data_cidr] : can(cidrhost(cidr, 0))
      ])
    ])
    error_message = "subnets must have ranges such as 10.0.0.0/24."
  }
  validation {
    condition = alltrue([
      for subnet in var.subnets : try(
        cidrhost("${cidrhost(subnet.data_cidr, 0)}/${split("/", local.data_cidr)[1]}", 0) == cidrhost(local.data_cidr, 0) &&
        tonumber(split("/", subnet.data_cidr)[1]) >= tonumber(split("/", local.data_cidr)[1]),
        false,
      )
    ])
    error_message = "data ranges must be within 10.0.2.0/24: the rules between worker and database use it."
  }
  validation {
    condition = alltrue([
      for subnet in var.subnets : alltrue([
        for cidr in [subnet.function_cidr, subnet.worker_cidr] : try(
          cidrhost("${cidrhost(cidr, 0)}/${split("/", local.data_cidr)[1]}", 0) != cidrhost(local.data_cidr, 0), true,
        )
      ])
    ])
    error_message = "functions and workers must be outside 10.0.2.0/24, the range of the data."
  }
}

variable "operator_cidr" {
  description = "Range of the vSwitch for the deployment's runner and operators' machines, outside all other ranges. Its security group `operator` allows database, broker, the workers' admin port, port 443 anywhere, and the platform's mirrors."
  type        = string
  default     = "10.0.5.0/24"

  validation {
    condition     = can(cidrhost(var.operator_cidr, 0))
    error_message = "operator_cidr must be a range such as 10.0.5.0/24."
  }
  validation {
    condition     = alltrue([for subnet in var.subnets : !contains([subnet.function_cidr, subnet.worker_cidr, subnet.data_cidr], var.operator_cidr)])
    error_message = "operator_cidr must differ from all ranges of subnets."
  }
}

variable "operator_peer_cidrs" {
  description = "Private networks joined to the VPC (VPN, peering) from which operators reach the workers' admin port and a shell (port 22) in the operators' vSwitch; nothing else."
  type        = list(string)
  default     = []

  validation {
    condition = alltrue([
      for cidr in var.operator_peer_cidrs : can(cidrhost(cidr, 0)) && try(tonumber(split("/", cidr)[1]) >= 8, false) && can(regex(
        "^(10\\.|192\\.168\\.|172\\.(1[6-9]|2[0-9]|3[01])\\.)", cidr,
      ))
    ])
    error_message = "operator_peer_cidrs must be private ranges, within 10.0.0.0/8, 172.16.0.0/12 or 192.168.0.0/16."
  }
}

variable "webhook_cidrs" {
  description = "Ranges of merchants' webhooks that workers may call on port 443 through the NAT gateway. Empty while no webhooks are sent; `0.0.0.0/0` for any merchant."
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for cidr in var.webhook_cidrs : can(cidrhost(cidr, 0))])
    error_message = "webhook_cidrs must be ranges such as 203.0.113.0/24."
  }
}

variable "flow_log" {
  description = "Log Service project and logstore for the VPC's flow log."
  type = object({
    project  = string
    logstore = string
  })
}
