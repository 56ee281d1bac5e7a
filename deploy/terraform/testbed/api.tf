# The private api `hoot`: GET / and POST /greet, answered by a function. In the spoke's account.

resource "aws_api_gateway_rest_api" "hoot" {
  # checkov:skip=CKV_AWS_237:its id is in policies and configurations: it must not be made twice
  provider    = aws.spoke
  name        = "${var.name}-hoot"
  description = "GET / says hello to the world, POST /greet to whoever is named"
  tags        = var.tags

  endpoint_configuration {
    types = ["PRIVATE"]
    # An association gives the api a name of its own. With the endpoint in another account the private DNS names are used.
    vpc_endpoint_ids = local.hub_account == local.spoke_account ? [aws_vpc_endpoint.execute_api.id] : null
  }
}

# Tied to the endpoint: any caller through it, none from elsewhere. Who may call is then decided by the endpoint's policy,
# and for callers of other accounts by theirs as well.
resource "aws_api_gateway_rest_api_policy" "hoot" {
  provider    = aws.spoke
  rest_api_id = aws_api_gateway_rest_api.hoot.id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "SpokeprobeEndpoint"
      Effect    = "Allow"
      Principal = { AWS = "*" }
      Action    = "execute-api:Invoke"
      Resource  = "arn:${local.partition}:execute-api:${var.region}:${local.spoke_account}:${aws_api_gateway_rest_api.hoot.id}/*"
      Condition = { StringEquals = { "aws:SourceVpce" = aws_vpc_endpoint.execute_api.id } }
    }]
  })
}

resource "aws_api_gateway_resource" "greet" {
  provider    = aws.spoke
  rest_api_id = aws_api_gateway_rest_api.hoot.id
  parent_id   = aws_api_gateway_rest_api.hoot.root_resource_id
  path_part   = "greet"
}

locals {
  methods = {
    root  = { method = "GET", resource = aws_api_gateway_rest_api.hoot.root_resource_id }
    greet = { method = "POST", resource = aws_api_gateway_resource.greet.id }
  }
}

# The policies decide, no authorizer. A signed request shows who it is to them all the same.
resource "aws_api_gateway_method" "hoot" {
  # checkov:skip=CKV_AWS_59:the policies of endpoint and api decide, no authorizer
  # checkov:skip=CKV2_AWS_53:whatever is no greeting is answered with hello stranger
  provider      = aws.spoke
  for_each      = local.methods
  rest_api_id   = aws_api_gateway_rest_api.hoot.id
  resource_id   = each.value.resource
  http_method   = each.value.method
  authorization = "NONE"
}

resource "aws_api_gateway_integration" "hoot" {
  provider                = aws.spoke
  for_each                = local.methods
  rest_api_id             = aws_api_gateway_rest_api.hoot.id
  resource_id             = each.value.resource
  http_method             = aws_api_gateway_method.hoot[each.key].http_method
  type                    = "AWS_PROXY"
  integration_http_method = "POST"
  uri                     = aws_lambda_function.hoot.invoke_arn
}

resource "aws_api_gateway_deployment" "hoot" {
  provider    = aws.spoke
  rest_api_id = aws_api_gateway_rest_api.hoot.id

  # A change of routes or policy shows only after a new deployment.
  triggers = {
    content = sha256(jsonencode([local.methods, aws_api_gateway_rest_api_policy.hoot.policy, aws_lambda_function.hoot.invoke_arn]))
  }

  lifecycle {
    create_before_destroy = true
  }

  depends_on = [aws_api_gateway_integration.hoot]
}

resource "aws_api_gateway_stage" "hoot" {
  # checkov:skip=CKV_AWS_76:access logs need a role of the whole account (aws_api_gateway_account)
  # checkov:skip=CKV2_AWS_4:as for access logs
  # checkov:skip=CKV_AWS_120:a cached answer would prove nothing
  # checkov:skip=CKV_AWS_73:the function does nothing to be traced
  # checkov:skip=CKV2_AWS_51:the backend is a function, no server that would check a certificate
  provider      = aws.spoke
  rest_api_id   = aws_api_gateway_rest_api.hoot.id
  deployment_id = aws_api_gateway_deployment.hoot.id
  stage_name    = local.stage
  tags          = var.tags
}

resource "aws_cloudwatch_log_group" "hoot" {
  # checkov:skip=CKV_AWS_158:holds no data of anyone
  # checkov:skip=CKV_AWS_338:a testbed's logs are of no use for a year
  provider          = aws.spoke
  name              = "/aws/lambda/${var.name}-hoot"
  retention_in_days = 7
  tags              = var.tags
}

# hoot.zip holds hoot.py and nothing else; a test compares them.
resource "aws_lambda_function" "hoot" {
  # checkov:skip=CKV_AWS_115:a new account has ten executions at once and may reserve none of them
  # checkov:skip=CKV_AWS_116:called and answered at once, never asynchronously
  # checkov:skip=CKV_AWS_117:it calls nothing, so it needs no network
  # checkov:skip=CKV_AWS_272:a few lines that stand beside it
  # checkov:skip=CKV_AWS_50:it does nothing to be traced
  provider         = aws.spoke
  function_name    = "${var.name}-hoot"
  description      = "Answers of the api hoot"
  role             = aws_iam_role.hoot.arn
  runtime          = "python3.13"
  handler          = "hoot.handler"
  architectures    = ["arm64"]
  filename         = "${path.module}/lambda/hoot.zip"
  source_code_hash = filebase64sha256("${path.module}/lambda/hoot.zip")
  timeout          = 5
  tags             = var.tags

  depends_on = [aws_cloudwatch_log_group.hoot, aws_iam_role_policy.hoot]
}

resource "aws_lambda_permission" "hoot" {
  provider      = aws.spoke
  statement_id  = "ApiGateway"
  action        = "lambda:InvokeFunction"
  function_name = aws_lambda_function.hoot.function_name
  principal     = "apigateway.amazonaws.com"
  source_arn    = "arn:${local.partition}:execute-api:${var.region}:${local.spoke_account}:${aws_api_gateway_rest_api.hoot.id}/*"
}

resource "aws_iam_role" "hoot" {
  provider = aws.spoke
  name     = "${var.name}-hoot"
  assume_role_policy = jsonencode({
    Version   = "2012-10-17"
    Statement = [{ Effect = "Allow", Principal = { Service = "lambda.amazonaws.com" }, Action = "sts:AssumeRole" }]
  })
  tags = var.tags
}

resource "aws_iam_role_policy" "hoot" {
  provider = aws.spoke
  name     = "logs"
  role     = aws_iam_role.hoot.id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect   = "Allow"
      Action   = ["logs:CreateLogStream", "logs:PutLogEvents"]
      Resource = "arn:${local.partition}:logs:${var.region}:${local.spoke_account}:log-group:/aws/lambda/${var.name}-hoot:log-stream:*"
    }]
  })
}

# The role the agent assumes there.
module "spoke" {
  source    = "../spoke"
  providers = { aws = aws.spoke }

  role_name           = "${var.name}-spoke"
  hub_role_arn        = local.hub_role_arn
  external_id         = var.external_id
  hub_vpc_endpoint_id = aws_vpc_endpoint.execute_api.id
  apis                = [{ id = aws_api_gateway_rest_api.hoot.id, stage = local.stage, requests = local.requests, region = var.region }]
  tags                = var.tags

}
