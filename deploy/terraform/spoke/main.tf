# A spoke's role for the agent: who may assume it, and what it may call. Every policy is written here and not by a data
# source, so that `terraform test` can read what would be sent.

data "aws_partition" "current" {}
data "aws_region" "current" {}
data "aws_caller_identity" "current" {}

locals {
  partition   = data.aws_partition.current.partition
  hub_account = split(":", var.hub_role_arn)[4]

  # arn:PARTITION:execute-api:REGION:ACCOUNT:API/STAGE/METHOD/PATH; `GET /` ends in `GET/`.
  api_requests = {
    for api in var.apis : "${api.id}/${api.stage}" => sort(distinct([
      for request in api.requests : join("", [
        "arn:${local.partition}:execute-api:${coalesce(api.region, data.aws_region.current.region)}:",
        "${data.aws_caller_identity.current.account_id}:${api.id}/${api.stage}/${replace(request, " ", "")}",
      ])
    ]))
  }

  # The hub role is named by a condition: a principal that names a role stops matching when the role is made again.
  trust = {
    Version = "2012-10-17"
    Statement = concat(
      [{
        Sid       = "SpokeprobeTrust"
        Effect    = "Allow"
        Principal = { AWS = "arn:${local.partition}:iam::${local.hub_account}:root" }
        Action    = "sts:AssumeRole"
        Condition = {
          ArnEquals    = { "aws:PrincipalArn" = var.hub_role_arn }
          StringEquals = { "sts:ExternalId" = var.external_id }
        }
      }],
      # UNCONFIRMED whether the external id is in the context of this action: it asks for the hub role alone, and gives no
      # session by itself.
      [for _ in var.allow_session_tags ? [1] : [] : {
        Sid       = "SpokeprobeTagSession"
        Effect    = "Allow"
        Principal = { AWS = "arn:${local.partition}:iam::${local.hub_account}:root" }
        Action    = "sts:TagSession"
        Condition = { ArnEquals = { "aws:PrincipalArn" = var.hub_role_arn } }
      }],
    )
  }

  permissions = {
    Version = "2012-10-17"
    Statement = concat(
      [{
        Sid      = "SpokeprobeInvoke"
        Effect   = "Allow"
        Action   = "execute-api:Invoke"
        Resource = flatten(values(local.api_requests))
      }],
      [for _ in length(var.isolation_api_arns) > 0 ? [1] : [] : {
        Sid      = "SpokeprobeIsolation"
        Effect   = "Allow"
        Action   = "execute-api:Invoke"
        Resource = sort(distinct(var.isolation_api_arns))
      }],
    )
  }

  role_arn = "arn:${local.partition}:iam::${data.aws_caller_identity.current.account_id}:role${var.role_path}${var.role_name}"

  # To be added to the policy that the api has. Alone it would shut out every other caller.
  resource_statements = {
    for api, requests in local.api_requests : api => {
      Sid       = "SpokeprobeInvoke"
      Effect    = "Allow"
      Principal = { AWS = "arn:${local.partition}:iam::${data.aws_caller_identity.current.account_id}:root" }
      Action    = "execute-api:Invoke"
      Resource  = requests
      Condition = merge(
        { ArnEquals = { "aws:PrincipalArn" = local.role_arn } },
        var.hub_vpc_endpoint_id == null ? {} : { StringEquals = { "aws:SourceVpce" = var.hub_vpc_endpoint_id } },
      )
    }
  }
}

resource "aws_iam_role" "this" {
  name                 = var.role_name
  path                 = var.role_path
  description          = "Assumed by spokeprobe in the hub to probe private APIs of this account"
  assume_role_policy   = jsonencode(local.trust)
  permissions_boundary = var.permissions_boundary_arn
  # The agent's session is chained from another role: AWS grants it one hour at most.
  max_session_duration = 3600
  tags                 = var.tags

  lifecycle {
    precondition {
      condition     = length(jsonencode(local.trust)) <= 2048
      error_message = "The trust policy has more than 2,048 characters, the limit of IAM: take a shorter external_id."
    }
  }
}

resource "aws_iam_role_policy" "invoke" {
  name   = "spokeprobe-invoke"
  role   = aws_iam_role.this.id
  policy = jsonencode(local.permissions)

  lifecycle {
    precondition {
      condition     = length(jsonencode(local.permissions)) <= 10240
      error_message = "The role's policy has more than 10,240 characters, the limit of IAM: use `*` for parts of paths, or make two roles."
    }
  }
}
