variable "name" {
  description = "Prefix of every name, such as `spillway-prod`; the root checks it."
  type        = string
}

variable "tags" {
  description = "Tags of gateway and addresses."
  type        = map(string)
  default     = {}
}

variable "resource_group_id" {
  description = "Resource group of all resources that have one."
  type        = string
}

variable "vpc_id" {
  description = "VPC of the NAT gateway."
  type        = string
}

variable "nat_vswitch_id" {
  description = "vSwitch of the NAT gateway."
  type        = string
}

variable "snat_vswitches" {
  description = "vSwitches that get an SNAT entry, by a name of your choice, such as `function-cn-hangzhou-j`."
  type        = map(string)

  validation {
    condition     = length(var.snat_vswitches) > 0
    error_message = "snat_vswitches must have at least one entry: an unused gateway is billed too."
  }
}

variable "eip_count" {
  description = "Elastic addresses, 1 to 20. Each carries about 55,000 connections to one destination at a time (likely)."
  type        = number
  default     = 1

  validation {
    condition     = var.eip_count >= 1 && var.eip_count <= 20 && floor(var.eip_count) == var.eip_count
    error_message = "eip_count must be 1 to 20."
  }
}

variable "bandwidth_mbps" {
  description = "Maximum egress of each address, Mbit/s, 1 to 200. Billed by traffic, not by this maximum."
  type        = number
  default     = 10

  validation {
    condition     = var.bandwidth_mbps >= 1 && var.bandwidth_mbps <= 200
    error_message = "bandwidth_mbps must be 1 to 200."
  }
}

variable "deletion_protection" {
  description = "Protect the addresses against deletion: third parties allow them by address."
  type        = bool
  default     = true
}
