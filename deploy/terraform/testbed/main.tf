# A testbed to try the agent, and policies, against real AWS: a VPC without internet, the shared endpoint, a private api
# with a function behind it in this or another account, and an instance as the place to run from.

data "aws_partition" "current" {}
data "aws_caller_identity" "hub" {}
data "aws_caller_identity" "spoke" {
  provider = aws.spoke
}

data "aws_availability_zones" "available" {
  # checkov:skip=CKV_AWS_394:a testbed may move when AWS adds a zone
  state = "available"

  # No local zones: endpoints do not lie in them.
  filter {
    name   = "opt-in-status"
    values = ["opt-in-not-required"]
  }
}

locals {
  partition     = data.aws_partition.current.partition
  hub_account   = data.aws_caller_identity.hub.account_id
  spoke_account = data.aws_caller_identity.spoke.account_id
  stage         = "api"
  requests      = ["GET /", "POST /greet"]
  hub_role_name = "${var.name}-hub"
  hub_role_arn  = "arn:${local.partition}:iam::${local.hub_account}:role/${local.hub_role_name}"

  invoke_arns = [
    for request in local.requests :
    "arn:${local.partition}:execute-api:${var.region}:${local.spoke_account}:${aws_api_gateway_rest_api.hoot.id}/${local.stage}/${replace(request, " ", "")}"
  ]
}
