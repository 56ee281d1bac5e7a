mock_provider "aws" {
  mock_data "aws_partition" {
    defaults = { partition = "aws" }
  }
  mock_data "aws_caller_identity" {
    defaults = { account_id = "111122223333" }
  }
  mock_data "aws_availability_zones" {
    defaults = { names = ["eu-west-1a", "eu-west-1b"] }
  }
  mock_resource "aws_vpc_endpoint" {
    defaults = { id = "vpce-0123456789abcdef0", prefix_list_id = "pl-6da54004" }
  }
}

mock_provider "aws" {
  alias = "spoke"

  mock_data "aws_partition" {
    defaults = { partition = "aws" }
  }
  mock_data "aws_region" {
    defaults = { region = "eu-west-1" }
  }
  mock_data "aws_caller_identity" {
    defaults = { account_id = "012345678901" }
  }
  mock_resource "aws_api_gateway_rest_api" {
    defaults = { id = "a1b2c3d4e5" }
  }
  mock_resource "aws_iam_role" {
    defaults = { arn = "arn:aws:iam::012345678901:role/spokeprobe-testbed-spoke" }
  }
}

variables {
  organization_id = "o-a1b2c3d4e5"
}

run "the_first_article" {
  command = apply

  assert {
    condition     = jsondecode(aws_vpc_endpoint_policy.execute_api.policy).Statement[0].Condition == { StringEquals = { "aws:PrincipalOrgID" = "o-a1b2c3d4e5" } }
    error_message = "policy: ${aws_vpc_endpoint_policy.execute_api.policy}"
  }
  assert {
    condition     = aws_api_gateway_rest_api.hoot.endpoint_configuration[0].types == tolist(["PRIVATE"])
    error_message = "The api is not private."
  }
  assert {
    condition     = toset([for method in aws_api_gateway_method.hoot : method.http_method]) == toset(["GET", "POST"]) && aws_api_gateway_resource.greet.path_part == "greet" && aws_api_gateway_stage.hoot.stage_name == "api"
    error_message = "The routes are others than GET / and POST /greet at stage api."
  }
  assert {
    condition     = jsondecode(aws_api_gateway_rest_api_policy.hoot.policy).Statement[0].Condition == { StringEquals = { "aws:SourceVpce" = "vpce-0123456789abcdef0" } }
    error_message = "The api is not tied to the endpoint."
  }
  assert {
    condition     = aws_instance.runner.associate_public_ip_address == false && aws_instance.runner.metadata_options[0].http_tokens == "required"
    error_message = "The place to run from is open."
  }
  assert {
    condition     = toset(keys(aws_vpc_endpoint.service)) == toset(["sts", "ssm", "ssmmessages", "ec2messages"])
    error_message = "The instance could not be reached, or not assume a role."
  }
  assert {
    condition     = yamldecode(output.config_yaml).spokes[0].apis[0].probes[2].expect.denied_by == "vpc_endpoint_policy" && yamldecode(output.config_yaml).spokes[0].account == "012345678901"
    error_message = "config: ${output.config_yaml}"
  }
}

run "the_second_article" {
  command = apply

  variables {
    endpoint_policy         = "least-privilege"
    organization_id         = null
    spoke_provider_role_arn = "arn:aws:iam::012345678901:role/terraform"
  }
  assert {
    condition = jsondecode(aws_vpc_endpoint_policy.execute_api.policy).Statement == [{
      Sid       = "SpokeprobeInvoke"
      Effect    = "Allow"
      Principal = { AWS = "arn:aws:iam::012345678901:root" }
      Action    = "execute-api:Invoke"
      Resource = [
        "arn:aws:execute-api:eu-west-1:012345678901:a1b2c3d4e5/api/GET/",
        "arn:aws:execute-api:eu-west-1:012345678901:a1b2c3d4e5/api/POST/greet",
      ]
      Condition = { ArnEquals = { "aws:PrincipalArn" = "arn:aws:iam::012345678901:role/spokeprobe-testbed-spoke" } }
    }]
    error_message = "policy: ${aws_vpc_endpoint_policy.execute_api.policy}"
  }
  assert {
    condition     = jsondecode(aws_iam_role_policy.runner.policy).Statement[0].Resource == "arn:aws:iam::012345678901:role/spokeprobe-testbed-spoke"
    error_message = "policy: ${aws_iam_role_policy.runner.policy}"
  }
}

run "an_organization_policy_without_organization_is_refused" {
  command = plan

  variables {
    organization_id = null
  }
  expect_failures = [var.organization_id]
}

run "a_range_too_small_is_refused" {
  command = plan

  variables {
    cidr = "10.64.0.0/28"
  }
  expect_failures = [var.cidr]
}
