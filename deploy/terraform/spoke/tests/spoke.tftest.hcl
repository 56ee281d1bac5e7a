mock_provider "aws" {
  mock_data "aws_partition" {
    defaults = { partition = "aws" }
  }
  mock_data "aws_region" {
    defaults = { region = "eu-west-1" }
  }
  mock_data "aws_caller_identity" {
    defaults = { account_id = "012345678901" }
  }
}

variables {
  hub_role_arn        = "arn:aws:iam::111122223333:role/spokeprobe-hub"
  external_id         = "spokeprobe-payments"
  hub_vpc_endpoint_id = "vpce-0123456789abcdef0"
  apis = [{
    id       = "a1b2c3d4e5"
    stage    = "api"
    requests = ["POST /greet", "GET /"]
  }]
}

run "only_the_hub_role_with_the_external_id" {
  command = plan

  assert {
    condition = jsondecode(aws_iam_role.this.assume_role_policy).Statement == [{
      Sid       = "SpokeprobeTrust"
      Effect    = "Allow"
      Principal = { AWS = "arn:aws:iam::111122223333:root" }
      Action    = "sts:AssumeRole"
      Condition = {
        ArnEquals    = { "aws:PrincipalArn" = "arn:aws:iam::111122223333:role/spokeprobe-hub" }
        StringEquals = { "sts:ExternalId" = "spokeprobe-payments" }
      }
    }]
    error_message = "trust: ${aws_iam_role.this.assume_role_policy}"
  }
}

run "exactly_the_requests" {
  command = plan

  assert {
    condition = jsondecode(aws_iam_role_policy.invoke.policy).Statement == [{
      Sid    = "SpokeprobeInvoke"
      Effect = "Allow"
      Action = "execute-api:Invoke"
      Resource = [
        "arn:aws:execute-api:eu-west-1:012345678901:a1b2c3d4e5/api/GET/",
        "arn:aws:execute-api:eu-west-1:012345678901:a1b2c3d4e5/api/POST/greet",
      ]
    }]
    error_message = "permissions: ${aws_iam_role_policy.invoke.policy}"
  }
  assert {
    condition     = jsondecode(output.resource_policy_statements["a1b2c3d4e5/api"]).Condition.StringEquals["aws:SourceVpce"] == "vpce-0123456789abcdef0"
    error_message = "The statement for the api does not ask for the endpoint."
  }
  assert {
    condition     = jsondecode(output.resource_policy_statements["a1b2c3d4e5/api"]).Condition.ArnEquals["aws:PrincipalArn"] == "arn:aws:iam::012345678901:role/spokeprobe"
    error_message = "The statement for the api does not name the role."
  }
}

run "isolation_and_tags_only_when_asked_for" {
  command = plan

  variables {
    isolation_api_arns = ["arn:aws:execute-api:eu-west-1:222233334444:b2c3d4e5f6/api/GET/"]
    allow_session_tags = true
  }
  assert {
    condition     = jsondecode(aws_iam_role_policy.invoke.policy).Statement[1].Resource == ["arn:aws:execute-api:eu-west-1:222233334444:b2c3d4e5f6/api/GET/"]
    error_message = "permissions: ${aws_iam_role_policy.invoke.policy}"
  }
  assert {
    condition     = jsondecode(aws_iam_role.this.assume_role_policy).Statement[1].Action == "sts:TagSession"
    error_message = "trust: ${aws_iam_role.this.assume_role_policy}"
  }
}

run "a_wildcard_hub_role_is_refused" {
  command = plan

  variables {
    hub_role_arn = "arn:aws:iam::111122223333:role/*"
  }
  expect_failures = [var.hub_role_arn]
}

run "a_wildcard_api_is_refused" {
  command = plan

  variables {
    apis = [{ id = "*", stage = "api", requests = ["GET /"] }]
  }
  expect_failures = [var.apis]
}

run "an_api_named_twice_is_refused" {
  command = plan

  variables {
    apis = [
      { id = "a1b2c3d4e5", stage = "api", requests = ["GET /"] },
      { id = "a1b2c3d4e5", stage = "api", requests = ["POST /greet"] },
    ]
  }
  expect_failures = [var.apis]
}

run "a_name_too_long_for_iam_is_refused" {
  command = plan

  variables {
    role_name = "spokeprobe-spokeprobe-spokeprobe-spokeprobe-spokeprobe-spokeprobe"
  }
  expect_failures = [var.role_name]
}

run "too_many_requests_for_one_policy_are_refused" {
  command = plan

  variables {
    apis = [for n in range(200) : { id = format("api%07d", n), stage = "api", requests = ["GET /"] }]
  }
  expect_failures = [aws_iam_role_policy.invoke]
}
