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
}

variable "size" {
  description = "Elastic addresses, and maximum egress of each in Mbit/s, billed by traffic. An address carries about 55,000 connections to one destination at a time (likely)."
  type = object({
    eip_count      = number
    bandwidth_mbps = number
  })
}

variable "deletion_protection" {
  description = "Protect the addresses against deletion: third parties allow them by address."
  type        = bool
  default     = true
}
