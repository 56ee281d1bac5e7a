# The VPC has private subnets in two zones and no way to the internet: no internet gateway, no NAT, no default route.

resource "aws_vpc" "hub" {
  # checkov:skip=CKV2_AWS_11:a testbed; flow logs cost more than all of it
  # checkov:skip=CKV2_AWS_12:nothing here is in the default security group, and no route leads out
  cidr_block           = var.cidr
  enable_dns_support   = true
  enable_dns_hostnames = true
  tags                 = merge(var.tags, { Name = var.name })
}

resource "aws_subnet" "private" {
  count             = 2
  vpc_id            = aws_vpc.hub.id
  cidr_block        = cidrsubnet(var.cidr, 4, count.index)
  availability_zone = data.aws_availability_zones.available.names[count.index]
  tags              = merge(var.tags, { Name = "${var.name}-${count.index + 1}" })
}

resource "aws_route_table" "private" {
  vpc_id = aws_vpc.hub.id
  tags   = merge(var.tags, { Name = var.name })
}

resource "aws_route_table_association" "private" {
  count          = 2
  subnet_id      = aws_subnet.private[count.index].id
  route_table_id = aws_route_table.private.id
}

resource "aws_security_group" "endpoints" {
  name        = "${var.name}-endpoints"
  description = "HTTPS from the VPC to its endpoints"
  vpc_id      = aws_vpc.hub.id
  tags        = merge(var.tags, { Name = "${var.name}-endpoints" })
}

resource "aws_vpc_security_group_ingress_rule" "endpoints" {
  security_group_id = aws_security_group.endpoints.id
  description       = "HTTPS from the VPC"
  cidr_ipv4         = var.cidr
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
}

resource "aws_security_group" "runner" {
  name        = "${var.name}-runner"
  description = "The place to run from: HTTPS to endpoints, nothing in"
  vpc_id      = aws_vpc.hub.id
  tags        = merge(var.tags, { Name = "${var.name}-runner" })
}

resource "aws_vpc_security_group_egress_rule" "runner" {
  security_group_id = aws_security_group.runner.id
  description       = "HTTPS to the endpoints of the VPC"
  cidr_ipv4         = var.cidr
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
}

resource "aws_vpc_security_group_egress_rule" "runner_s3" {
  security_group_id = aws_security_group.runner.id
  description       = "HTTPS to S3 through the gateway endpoint: packages, and the program"
  prefix_list_id    = aws_vpc_endpoint.s3.prefix_list_id
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
}

locals {
  endpoint_policies = {
    # Unsigned requests carry no organisation: refused with "User: anonymous is not authorized".
    organization = {
      Sid       = "SpokeprobeOrganization"
      Effect    = "Allow"
      Principal = { AWS = "*" }
      Action    = "execute-api:Invoke"
      Resource  = "*"
      Condition = { StringEquals = { "aws:PrincipalOrgID" = var.organization_id } }
    }
    # The role by a condition under its account's root: a principal that names a role stops matching when it is made again.
    least-privilege = {
      Sid       = "SpokeprobeInvoke"
      Effect    = "Allow"
      Principal = { AWS = "arn:${local.partition}:iam::${local.spoke_account}:root" }
      Action    = "execute-api:Invoke"
      Resource  = local.invoke_arns
      Condition = { ArnEquals = { "aws:PrincipalArn" = module.spoke.role_arn } }
    }
  }
}

resource "aws_vpc_endpoint" "execute_api" {
  vpc_id              = aws_vpc.hub.id
  service_name        = "com.amazonaws.${var.region}.execute-api"
  vpc_endpoint_type   = "Interface"
  private_dns_enabled = true
  subnet_ids          = aws_subnet.private[*].id
  security_group_ids  = [aws_security_group.endpoints.id]
  tags                = merge(var.tags, { Name = "${var.name}-execute-api" })
}

# Apart from the endpoint, since the api's own policy names the endpoint and this one names the api.
resource "aws_vpc_endpoint_policy" "execute_api" {
  vpc_endpoint_id = aws_vpc_endpoint.execute_api.id
  policy          = jsonencode({ Version = "2012-10-17", Statement = [local.endpoint_policies[var.endpoint_policy]] })
}

# What the instance needs: AssumeRole, and Session Manager.
resource "aws_vpc_endpoint" "service" {
  for_each            = toset(["sts", "ssm", "ssmmessages", "ec2messages"])
  vpc_id              = aws_vpc.hub.id
  service_name        = "com.amazonaws.${var.region}.${each.key}"
  vpc_endpoint_type   = "Interface"
  private_dns_enabled = true
  subnet_ids          = aws_subnet.private[*].id
  security_group_ids  = [aws_security_group.endpoints.id]
  tags                = merge(var.tags, { Name = "${var.name}-${each.key}" })
}

resource "aws_vpc_endpoint" "s3" {
  vpc_id            = aws_vpc.hub.id
  service_name      = "com.amazonaws.${var.region}.s3"
  vpc_endpoint_type = "Gateway"
  route_table_ids   = [aws_route_table.private.id]
  tags              = merge(var.tags, { Name = "${var.name}-s3" })
}
