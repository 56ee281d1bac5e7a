# Endpoints and security groups. Nothing of an execute-api endpoint that exists is managed here.

data "aws_vpc" "hub" {
  id = var.vpc_id
}

data "aws_vpc_endpoint" "execute_api" {
  count = var.execute_api_endpoint_id == null ? 0 : 1
  id    = var.execute_api_endpoint_id

  lifecycle {
    postcondition {
      condition     = endswith(self.service_name, ".execute-api")
      error_message = "${self.id} is an endpoint for ${self.service_name}, not for execute-api."
    }
  }
}

# Images and configuration come from S3 through the gateway endpoint, made here or not.
data "aws_ec2_managed_prefix_list" "s3" {
  name = "com.amazonaws.${local.region}.s3"
}

locals {
  execute_api_endpoint_id = var.execute_api_endpoint_id == null ? aws_vpc_endpoint.execute_api[0].id : var.execute_api_endpoint_id

  interface_services = setsubtract(var.service_endpoints, ["s3"])
  makes_endpoints    = var.execute_api_endpoint_id == null || length(local.interface_services) > 0

  # Signed by a principal of the organisation. Unsigned requests have no aws:PrincipalOrgID, so they do not pass.
  organization_policy = {
    Version = "2012-10-17"
    Statement = [{
      Sid       = "SpokeprobeOrganization"
      Effect    = "Allow"
      Principal = { AWS = "*" }
      Action    = "execute-api:Invoke"
      Resource  = "*"
      Condition = { StringEquals = { "aws:PrincipalOrgID" = var.organization_id } }
    }]
  }
}

resource "aws_vpc_endpoint" "execute_api" {
  count               = var.execute_api_endpoint_id == null ? 1 : 0
  vpc_id              = var.vpc_id
  service_name        = "com.amazonaws.${local.region}.execute-api"
  vpc_endpoint_type   = "Interface"
  private_dns_enabled = true
  subnet_ids          = var.subnet_ids
  security_group_ids  = [aws_security_group.endpoints[0].id]
  policy              = var.execute_api_policy == null ? jsonencode(local.organization_policy) : var.execute_api_policy
  tags                = merge(var.tags, { Name = "${var.name}-execute-api" })
}

# With private DNS these serve the whole VPC, not the agent alone. So they keep AWS's default policy: a narrower one would
# cut off whatever else runs here. What the agent may do is decided by its role.
resource "aws_vpc_endpoint" "service" {
  for_each            = local.interface_services
  vpc_id              = var.vpc_id
  service_name        = "com.amazonaws.${local.region}.${each.key}"
  vpc_endpoint_type   = "Interface"
  private_dns_enabled = true
  subnet_ids          = var.subnet_ids
  security_group_ids  = [aws_security_group.endpoints[0].id]
  tags                = merge(var.tags, { Name = "${var.name}-${each.key}" })
}

resource "aws_vpc_endpoint" "s3" {
  count             = contains(var.service_endpoints, "s3") ? 1 : 0
  vpc_id            = var.vpc_id
  service_name      = "com.amazonaws.${local.region}.s3"
  vpc_endpoint_type = "Gateway"
  route_table_ids   = var.route_table_ids
  tags              = merge(var.tags, { Name = "${var.name}-s3" })
}

resource "aws_security_group" "endpoints" {
  count       = local.makes_endpoints ? 1 : 0
  name        = "${var.name}-endpoints"
  description = "Interface endpoints made for spokeprobe: HTTPS from the VPC"
  vpc_id      = var.vpc_id
  tags        = merge(var.tags, { Name = "${var.name}-endpoints" })
}

resource "aws_vpc_security_group_ingress_rule" "endpoints" {
  count             = local.makes_endpoints ? 1 : 0
  security_group_id = aws_security_group.endpoints[0].id
  description       = "HTTPS from the VPC, since private DNS sends all of it here"
  cidr_ipv4         = data.aws_vpc.hub.cidr_block
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
}

resource "aws_security_group" "agent" {
  name        = "${var.name}-agent"
  description = "spokeprobe: HTTPS to endpoints, and whoever scrapes it"
  vpc_id      = var.vpc_id
  tags        = merge(var.tags, { Name = "${var.name}-agent" })
}

resource "aws_vpc_security_group_egress_rule" "vpc" {
  security_group_id = aws_security_group.agent.id
  description       = "HTTPS to endpoints in the VPC"
  cidr_ipv4         = data.aws_vpc.hub.cidr_block
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
}

resource "aws_vpc_security_group_egress_rule" "elsewhere" {
  for_each          = toset(var.endpoint_cidrs)
  security_group_id = aws_security_group.agent.id
  description       = "HTTPS to endpoints elsewhere"
  cidr_ipv4         = each.key
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
}

resource "aws_vpc_security_group_egress_rule" "s3" {
  security_group_id = aws_security_group.agent.id
  description       = "HTTPS to S3 through the gateway endpoint: layers of images, the configuration"
  prefix_list_id    = data.aws_ec2_managed_prefix_list.s3.id
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
}

resource "aws_vpc_security_group_ingress_rule" "scrape_cidr" {
  for_each          = toset(var.scrape_cidrs)
  security_group_id = aws_security_group.agent.id
  description       = "Scrapes"
  cidr_ipv4         = each.key
  ip_protocol       = "tcp"
  from_port         = local.port
  to_port           = local.port
}

resource "aws_vpc_security_group_ingress_rule" "scrape_group" {
  for_each                     = toset(var.scrape_security_group_ids)
  security_group_id            = aws_security_group.agent.id
  description                  = "Scrapes"
  referenced_security_group_id = each.key
  ip_protocol                  = "tcp"
  from_port                    = local.port
  to_port                      = local.port
}
