output "config_yaml" {
  description = "A configuration of the agent for this testbed: `terraform output -raw config_yaml > config.yaml`."
  value = yamlencode({
    hub = {
      region   = var.region
      role_arn = local.hub_role_arn
      endpoint = { id = aws_vpc_endpoint.execute_api.id, addressing = "private_dns", cidrs = [var.cidr] }
    }
    spokes = [{
      name        = "testbed"
      account     = local.spoke_account
      role        = "${var.name}-spoke"
      external_id = var.external_id
      apis = [{
        name  = "hoot"
        id    = aws_api_gateway_rest_api.hoot.id
        stage = local.stage
        probes = [
          { name = "hello", request = "GET /", expect = { status = 200, json = { hello = "world" } } },
          { name = "greet", request = "POST /greet", json = { name = "buddy" }, expect = { status = 200, json = { hello = "buddy" } } },
          { name = "unsigned-is-refused", request = "GET /", as = "anonymous", expect = { denied_by = "vpc_endpoint_policy" } },
        ]
      }]
    }]
  })
}

output "session_command" {
  description = "Opens a shell on the place to run from."
  value       = "aws ssm start-session --region ${var.region} --target ${aws_instance.runner.id}"
}

output "api_url" {
  description = "The api's name within the VPC."
  value       = "https://${aws_api_gateway_rest_api.hoot.id}.execute-api.${var.region}.amazonaws.com/${local.stage}/"
}

output "vpc_id" {
  description = "For the hub module."
  value       = aws_vpc.hub.id
}

output "subnet_ids" {
  description = "For the hub module."
  value       = aws_subnet.private[*].id
}

output "route_table_ids" {
  description = "For the hub module."
  value       = [aws_route_table.private.id]
}

output "execute_api_endpoint_id" {
  description = "For the hub module."
  value       = aws_vpc_endpoint.execute_api.id
}

output "spoke_role_arn" {
  description = "For the hub module."
  value       = module.spoke.role_arn
}
