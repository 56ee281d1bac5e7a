# An empty VPC without internet: the shared endpoint is made here, open to the organisation; metrics go to Amazon Managed
# Prometheus by a collector beside the agent, and alerts to an SNS topic.

terraform {
  required_version = ">= 1.9"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 6.0, < 7.0"
    }
  }
}

provider "aws" {
  region = "eu-west-1"
}

module "hub" {
  source = "../../hub"

  vpc_id          = "vpc-0123456789abcdef0"
  subnet_ids      = ["subnet-0123456789abcdef0", "subnet-0123456789abcdef1"]
  route_table_ids = ["rtb-0123456789abcdef0"]
  organization_id = "o-a1b2c3d4e5"

  service_endpoints = ["sts", "ecr.api", "ecr.dkr", "logs", "s3", "aps-workspaces"]

  image            = "111122223333.dkr.ecr.eu-west-1.amazonaws.com/spokeprobe:0.1.0"
  cpu_architecture = "ARM64"
  ecr_repository_arns = [
    "arn:aws:ecr:eu-west-1:111122223333:repository/spokeprobe",
    "arn:aws:ecr:eu-west-1:111122223333:repository/aws-otel-collector",
  ]

  # Apply twice: the endpoint's id is only known once it is there (output execute_api_endpoint_id). Then copy the configuration beside
  # this file, put the id into its hub.endpoint.id, and name the copy here.
  config_yaml     = file("${path.module}/../hub-and-spokes/config.yaml")
  spoke_role_arns = ["arn:aws:iam::012345678901:role/spokeprobe", "arn:aws:iam::222233334444:role/spokeprobe"]

  prometheus = {
    collector_image = "111122223333.dkr.ecr.eu-west-1.amazonaws.com/aws-otel-collector:v0.43.3"
    alert_topic_arn = "arn:aws:sns:eu-west-1:111122223333:platform-alerts"
  }
}

output "remote_write_url" {
  value = module.hub.remote_write_url
}

output "execute_api_endpoint_id" {
  value = module.hub.execute_api_endpoint_id
}

output "execute_api_dns_names" {
  value = module.hub.execute_api_dns_names
}
