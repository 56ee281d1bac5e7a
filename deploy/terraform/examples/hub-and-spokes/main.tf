# The usual case: the VPC, the shared endpoint and its policy exist; the agent runs on Fargate; two spokes in other accounts.
#
#     terraform init && terraform apply
#
# Then allow HTTPS from `agent_security_group_id` in the endpoint's security group, and add the statements for the roles to the
# endpoint's policy and to the policies of the apis.

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

provider "aws" {
  alias  = "payments"
  region = "eu-west-1"

  assume_role {
    role_arn = "arn:aws:iam::012345678901:role/terraform"
  }
}

provider "aws" {
  alias  = "orders"
  region = "eu-west-1"

  assume_role {
    role_arn = "arn:aws:iam::222233334444:role/terraform"
  }
}

locals {
  # By name rather than by reference: the spokes need the hub's role and the hub the spokes' roles.
  hub_role_arn = "arn:aws:iam::111122223333:role/spokeprobe-hub"
  endpoint_id  = "vpce-0123456789abcdef0"
}

module "payments" {
  source    = "../../spoke"
  providers = { aws = aws.payments }

  hub_role_arn        = local.hub_role_arn
  hub_vpc_endpoint_id = local.endpoint_id
  external_id         = "spokeprobe-payments"
  apis                = [{ id = "a1b2c3d4e5", stage = "api", requests = ["GET /", "POST /greet"] }]
}

module "orders" {
  source    = "../../spoke"
  providers = { aws = aws.orders }

  hub_role_arn        = local.hub_role_arn
  hub_vpc_endpoint_id = local.endpoint_id
  external_id         = "spokeprobe-orders"
  apis                = [{ id = "b2c3d4e5f6", stage = "live", requests = ["GET /items"] }]
}

module "hub" {
  source = "../../hub"

  vpc_id                  = "vpc-0123456789abcdef0"
  subnet_ids              = ["subnet-0123456789abcdef0", "subnet-0123456789abcdef1"]
  route_table_ids         = ["rtb-0123456789abcdef0"]
  execute_api_endpoint_id = local.endpoint_id

  # This VPC has endpoints for STS and logs already.
  service_endpoints = ["ecr.api", "ecr.dkr", "s3"]

  image               = "111122223333.dkr.ecr.eu-west-1.amazonaws.com/spokeprobe:0.1.0"
  ecr_repository_arns = ["arn:aws:ecr:eu-west-1:111122223333:repository/spokeprobe"]

  config_yaml     = file("${path.module}/config.yaml")
  spoke_role_arns = [module.payments.role_arn, module.orders.role_arn]

  namespace    = { name = "spokeprobe.internal" }
  scrape_cidrs = ["10.0.8.0/24"]
}

output "agent_security_group_id" {
  value = module.hub.agent_security_group_id
}

output "resource_policy_statements" {
  value = merge(module.payments.resource_policy_statements, module.orders.resource_policy_statements)
}

output "doctor" {
  value = "deploy/ecs-doctor ${module.hub.cluster_arn} ${module.hub.service_name} payments"
}
