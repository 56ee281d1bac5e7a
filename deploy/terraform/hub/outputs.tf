output "agent_role_arn" {
  description = "The agent's role: `hub_role_arn` of the spokes, `hub.role_arn` in the configuration."
  value       = aws_iam_role.agent.arn
}

output "agent_role_name" {
  description = "For a policy of your own on the agent's role, as for probes with `as: hub`."
  value       = aws_iam_role.agent.name
}

output "agent_security_group_id" {
  description = "Allow HTTPS from it in the security group of an execute-api endpoint that exists."
  value       = aws_security_group.agent.id
}

output "execute_api_endpoint_id" {
  description = "`hub.endpoint.id` in the configuration."
  value       = local.execute_api_endpoint_id
}

output "execute_api_dns_names" {
  description = "DNS names of an endpoint that was made here: `hub.endpoint.dns_name` and the zonal names."
  value       = var.execute_api_endpoint_id == null ? aws_vpc_endpoint.execute_api[0].dns_entry[*].dns_name : []
}

output "cluster_arn" {
  description = "For ecs-doctor; null on EC2."
  value       = local.cluster_arn
}

output "service_name" {
  description = "For ecs-doctor; null on EC2."
  value       = local.fargate ? aws_ecs_service.agent[0].name : null
}

output "scrape_name" {
  description = "DNS name to scrape, port 10403, as dns_sd_configs of type A; null without a namespace made here."
  value       = one([for namespace in aws_service_discovery_private_dns_namespace.this : "agent.${namespace.name}"])
}

output "config_url" {
  description = "What `--config` names, for config_source = \"s3\"."
  value       = var.config_source == "s3" ? local.config_url : null
}

output "remote_write_url" {
  description = "Where metrics are sent to; null without a workspace."
  value       = one([for workspace in aws_prometheus_workspace.this : "${workspace.prometheus_endpoint}api/v1/remote_write"])
}

output "log_group_name" {
  description = "Logs of the agent."
  value       = aws_cloudwatch_log_group.agent.name
}
