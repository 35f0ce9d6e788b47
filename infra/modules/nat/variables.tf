variable "name" {
  description = "Prefix of every name, such as `spillway-prod`: 3 to 24 lower-case letters, digits and dashes, beginning with a letter."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{2,23}$", var.name))
    error_message = "name must be 3 to 24 lower-case letters, digits and dashes, beginning with a letter."
  }
}

variable "tags" {
  description = "Tags of gateway and addresses."
  type        = map(string)
  default     = {}
}

variable "vpc_id" {
  description = "VPC that gets a way out."
  type        = string
}

variable "nat_vswitch_id" {
  description = "vSwitch that the NAT gateway sits in."
  type        = string
}

variable "snat_vswitches" {
  description = "vSwitches whose members may reach the internet, by a name of one's own, such as `function-cn-hangzhou-j`: each gets an entry."
  type        = map(string)

  validation {
    condition     = length(var.snat_vswitches) > 0
    error_message = "snat_vswitches must name at least one: a gateway that nobody uses is paid all the same."
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
  description = "Most that goes out by each address, Mbit/s, 1 to 200. Paid by what is sent, not by this."
  type        = number
  default     = 10

  validation {
    condition     = var.bandwidth_mbps >= 1 && var.bandwidth_mbps <= 200
    error_message = "bandwidth_mbps must be 1 to 200."
  }
}

variable "deletion_protection" {
  description = "Refuse to delete the addresses: whoever lets them in would meet a stranger."
  type        = bool
  default     = true
}
