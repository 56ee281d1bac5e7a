terraform {
  required_version = ">= 1.9"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 6.0, < 7.0"
    }
  }
}

# The account of the VPC and the endpoint.
provider "aws" {
  region = var.region
}

# The account of the api; the same one when no role is given.
provider "aws" {
  alias  = "spoke"
  region = var.region

  dynamic "assume_role" {
    for_each = var.spoke_provider_role_arn == null ? [] : [var.spoke_provider_role_arn]

    content {
      role_arn = assume_role.value
    }
  }
}
