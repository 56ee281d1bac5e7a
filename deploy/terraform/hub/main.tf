# The agent in the hub. Each file has one subject: network.tf (endpoints, security groups), identity.tf (roles),
# configuration.tf (S3), service.tf (ECS), instances.tf (EC2), prometheus.tf (Amazon Managed Prometheus).
# Every policy is written by jsonencode and not by a data source, so that `terraform test` reads what would be sent.

data "aws_partition" "current" {
  lifecycle {
    postcondition {
      condition     = contains(["aws", "aws-us-gov"], self.partition)
      error_message = "The partition ${self.partition} names the services of endpoints in other ways, which this module does not know."
    }
  }
}
data "aws_region" "current" {}
data "aws_caller_identity" "current" {}

locals {
  partition = data.aws_partition.current.partition
  region    = data.aws_region.current.region
  account   = data.aws_caller_identity.current.account_id

  fargate = var.compute == "fargate"
  # The port of `web.listen` in the configuration, its default.
  port = 10403
}

resource "aws_cloudwatch_log_group" "agent" {
  name              = "/spokeprobe/${var.name}"
  retention_in_days = var.log_retention_days
  kms_key_id        = var.kms_key_arn
  tags              = var.tags
}
