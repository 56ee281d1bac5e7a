variable "hub_role_arn" {
  description = "Role of the agent in the hub; only sessions of this role may assume the role made here."
  type        = string

  validation {
    condition     = can(regex("^arn:aws(-[a-z]+)*:iam::[0-9]{12}:role/([!-~]+/)?[A-Za-z0-9+=,.@_-]{1,64}$", var.hub_role_arn)) && !strcontains(var.hub_role_arn, "*")
    error_message = "hub_role_arn must be the ARN of one IAM role, as arn:aws:iam::111122223333:role/spokeprobe-hub, without wildcards."
  }
}

variable "external_id" {
  description = "Shared with the configuration of the agent (spokes[].external_id)."
  type        = string

  validation {
    condition     = can(regex("^[A-Za-z0-9_+=,.@:/-]+$", var.external_id)) && length(var.external_id) >= 2 && length(var.external_id) <= 1224
    error_message = "external_id must have 2 to 1224 characters of letters, digits and _+=,.@:/-."
  }
}

variable "apis" {
  description = <<-EOT
    The apis the role may call. `requests` are written as in the configuration of the agent: method and path, the
    query left out. A part of a path may be `*`. Nothing else may be invoked.
  EOT
  type = list(object({
    id       = string
    stage    = string
    requests = list(string)
    region   = optional(string) # the provider's region when left out
  }))

  validation {
    condition     = length(var.apis) > 0 && alltrue([for api in var.apis : length(api.requests) > 0])
    error_message = "apis must name at least one api, each with at least one request."
  }
  validation {
    condition     = alltrue([for api in var.apis : can(regex("^[a-z0-9]{10}$", api.id))])
    error_message = "An api's id has 10 lower-case letters and digits. Wildcards are not accepted."
  }
  validation {
    condition     = alltrue([for api in var.apis : can(regex("^[A-Za-z0-9_-]{1,128}$", api.stage))])
    error_message = "A stage has letters, digits, _ and -. Wildcards are not accepted."
  }
  validation {
    condition = alltrue(flatten([
      for api in var.apis : [for request in api.requests : can(regex("^(GET|HEAD|OPTIONS|POST|PUT|PATCH|DELETE) /[^ ?#]*$", request))]
    ]))
    error_message = "A request is a method and a path without its query, as `GET /` or `POST /greet`."
  }
  validation {
    condition     = length(distinct([for api in var.apis : "${coalesce(api.region, "-")}/${api.id}/${api.stage}"])) == length(var.apis)
    error_message = "An api and stage is named twice: put its requests together."
  }
}

variable "isolation_api_arns" {
  description = <<-EOT
    Apis of other spokes that this role must be refused at (`isolation` in the configuration of the agent). The role is
    allowed to call them, so that only the endpoint's policy and the far side can refuse. Empty without `isolation`.
  EOT
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for arn in var.isolation_api_arns : can(regex("^arn:aws(-[a-z]+)*:execute-api:[a-z0-9-]+:[0-9]{12}:[a-z0-9]{10}/.+$", arn))])
    error_message = "isolation_api_arns are execute-api ARNs with region, account and api id, as arn:aws:execute-api:eu-west-1:222233334444:b2c3d4e5f6/api/GET/."
  }
}

variable "hub_vpc_endpoint_id" {
  description = "The shared execute-api endpoint of the hub; only used for the resource policy statements in the outputs."
  type        = string
  default     = null

  validation {
    condition     = var.hub_vpc_endpoint_id == null || can(regex("^vpce-[0-9a-f]{8,17}$", var.hub_vpc_endpoint_id))
    error_message = "hub_vpc_endpoint_id must look like vpce-0123456789abcdef0."
  }
}

variable "role_name" {
  description = "Name of the role; `defaults.role` in the configuration of the agent."
  type        = string
  default     = "spokeprobe"

  validation {
    condition     = can(regex("^[A-Za-z0-9+=,.@_-]{1,64}$", var.role_name))
    error_message = "role_name must have 1 to 64 characters of letters, digits and +=,.@_-, the limit of IAM."
  }
}

variable "role_path" {
  description = "Path of the role, with a slash at both ends."
  type        = string
  default     = "/"

  validation {
    condition     = can(regex("^/([A-Za-z0-9+=,.@_-]+/)*$", var.role_path)) && length(var.role_path) <= 512
    error_message = "role_path must begin and end with a slash and have at most 512 characters."
  }
}

variable "permissions_boundary_arn" {
  description = "A permissions boundary that the account asks for; null for none."
  type        = string
  default     = null
}

variable "allow_session_tags" {
  description = "Allow sts:TagSession: needed where the configuration of the agent has `session_tags` for this spoke."
  type        = bool
  default     = false
}

variable "tags" {
  description = "Tags of the role."
  type        = map(string)
  default     = {}
}
