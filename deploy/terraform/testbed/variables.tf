variable "region" {
  description = "Where all of it is made."
  type        = string
  default     = "eu-west-1"

  validation {
    condition     = can(regex("^[a-z]{2}(-[a-z]+)+-[0-9]$", var.region))
    error_message = "region must look like eu-west-1."
  }
}

variable "name" {
  description = "Names what is made here."
  type        = string
  default     = "spokeprobe-testbed"

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,31}$", var.name))
    error_message = "name must have 2 to 32 lower-case letters, digits and dashes and begin with a letter."
  }
}

variable "cidr" {
  description = "Range of the VPC, a /16 to /24."
  type        = string
  default     = "10.64.0.0/20"

  validation {
    condition     = can(cidrhost(var.cidr, 0)) && try(tonumber(split("/", var.cidr)[1]) >= 16 && tonumber(split("/", var.cidr)[1]) <= 24, false)
    error_message = "cidr must be a range between /16 and /24, as 10.64.0.0/20."
  }
}

variable "spoke_provider_role_arn" {
  description = "A role in the second account with which Terraform makes the api there. Null puts the api into the same account."
  type        = string
  default     = null

  validation {
    condition     = var.spoke_provider_role_arn == null || can(regex("^arn:aws(-[a-z]+)*:iam::[0-9]{12}:role/[!-~]+$", var.spoke_provider_role_arn))
    error_message = "spoke_provider_role_arn must be the ARN of a role."
  }
}

variable "endpoint_policy" {
  description = "`organization`: whoever signs as a principal of the organisation passes the endpoint. `least-privilege`: the probing role alone, at the one api, at its two routes."
  type        = string
  default     = "organization"

  validation {
    condition     = contains(["organization", "least-privilege"], var.endpoint_policy)
    error_message = "endpoint_policy must be organization or least-privilege."
  }
}

variable "organization_id" {
  description = "For endpoint_policy = \"organization\"."
  type        = string
  default     = null

  validation {
    condition     = var.organization_id == null || can(regex("^o-[a-z0-9]{10,32}$", var.organization_id))
    error_message = "organization_id must look like o-a1b2c3d4e5."
  }
  validation {
    condition     = var.endpoint_policy != "organization" || var.organization_id != null
    error_message = "endpoint_policy = \"organization\" needs organization_id."
  }
}

variable "external_id" {
  description = "External id of the probing role."
  type        = string
  default     = "spokeprobe-testbed"
}

variable "tags" {
  description = "Tags of all that is made here."
  type        = map(string)
  default     = {}
}
