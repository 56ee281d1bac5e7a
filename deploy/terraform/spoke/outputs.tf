output "role_arn" {
  description = "To go into `spoke_role_arns` of the hub and, where its name or path differs, into `spokes[].role`."
  value       = aws_iam_role.this.arn
}

output "invoke_arns" {
  description = "What the role may call."
  value       = flatten(values(local.api_requests))
}

output "resource_policy_statements" {
  description = "By API/STAGE, a statement to add to the api's resource policy, as JSON. Never the whole policy: alone it shuts out every other caller."
  value       = { for api, statement in local.resource_statements : api => jsonencode(statement) }
}
