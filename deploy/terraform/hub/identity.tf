# The agent's role (the task's, or the instance's) and the role that ECS starts the task with.

locals {
  # 6,144 characters is the limit of a managed policy and 10,240 that of all inline ones: hundreds of roles need several
  # managed policies, of which IAM attaches ten. Sixty ARNs with ordinary names and paths fit into one.
  assume_chunks = chunklist(var.spoke_role_arns, 60)
}

resource "aws_iam_role" "agent" {
  name        = var.name
  description = "spokeprobe in the hub: assumes the roles of the spokes"
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [merge(
      {
        Effect    = "Allow"
        Principal = { Service = local.fargate ? "ecs-tasks.amazonaws.com" : "ec2.amazonaws.com" }
        Action    = "sts:AssumeRole"
      },
      # Against the confused deputy: only tasks of this account. EC2 sets no such key.
      local.fargate ? { Condition = { StringEquals = { "aws:SourceAccount" = local.account } } } : {},
    )]
  })
  tags = var.tags
}

resource "aws_iam_policy" "assume" {
  count       = length(local.assume_chunks)
  name        = "${var.name}-assume-${count.index + 1}"
  description = "The roles of spokes that spokeprobe may assume"
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid      = "SpokeprobeAssume"
      Effect   = "Allow"
      Action   = "sts:AssumeRole"
      Resource = local.assume_chunks[count.index]
    }]
  })
  tags = var.tags

  lifecycle {
    precondition {
      condition     = length(join("\",\"", local.assume_chunks[count.index])) <= 5900
      error_message = "Sixty of spoke_role_arns are longer than a managed policy (6,144 characters): shorten names and paths of the roles."
    }
  }
}

resource "aws_iam_role_policy_attachment" "assume" {
  count      = length(local.assume_chunks)
  role       = aws_iam_role.agent.name
  policy_arn = aws_iam_policy.assume[count.index].arn
}

locals {
  agent_statements = concat(
    [for _ in var.config_source == "s3" ? [1] : [] : {
      Sid      = "SpokeprobeConfiguration"
      Effect   = "Allow"
      Action   = "s3:GetObject"
      Resource = "arn:${local.partition}:s3:::${local.config_bucket}/${local.config_prefix}*"
    }],
    # Includes are found by a listing below the prefix.
    [for _ in var.config_source == "s3" ? [1] : [] : {
      Sid       = "SpokeprobeConfigurationList"
      Effect    = "Allow"
      Action    = "s3:ListBucket"
      Resource  = "arn:${local.partition}:s3:::${local.config_bucket}"
      Condition = { StringLike = { "s3:prefix" = "${local.config_prefix}*" } }
    }],
    [for _ in var.config_source == "s3" && var.kms_key_arn != null ? [1] : [] : {
      Sid       = "SpokeprobeConfigurationKey"
      Effect    = "Allow"
      Action    = "kms:Decrypt"
      Resource  = var.kms_key_arn
      Condition = { StringEquals = { "kms:ViaService" = "s3.${local.region}.amazonaws.com" } }
    }],
    [for _ in local.fargate ? [] : [1] : {
      Sid      = "SpokeprobeProgram"
      Effect   = "Allow"
      Action   = "s3:GetObject"
      Resource = "arn:${local.partition}:s3:::${var.program.bucket}/${var.program.key}"
    }],
    [for _ in var.prometheus == null ? [] : [1] : {
      Sid      = "SpokeprobeRemoteWrite"
      Effect   = "Allow"
      Action   = "aps:RemoteWrite"
      Resource = aws_prometheus_workspace.this[0].arn
    }],
  )
}

resource "aws_iam_role_policy" "agent" {
  count = local.fargate && var.config_source != "s3" && var.prometheus == null ? 0 : 1
  name  = "spokeprobe"
  role  = aws_iam_role.agent.id
  policy = jsonencode({
    Version   = "2012-10-17"
    Statement = local.agent_statements
  })
}

# Session Manager in place of a key and a bastion.
resource "aws_iam_role_policy_attachment" "ssm" {
  count      = local.fargate ? 0 : 1
  role       = aws_iam_role.agent.name
  policy_arn = "arn:${local.partition}:iam::aws:policy/AmazonSSMManagedInstanceCore"
}

resource "aws_iam_instance_profile" "agent" {
  count = local.fargate ? 0 : 1
  name  = var.name
  role  = aws_iam_role.agent.name
  tags  = var.tags
}

resource "aws_iam_role" "execution" {
  count       = local.fargate ? 1 : 0
  name        = "${var.name}-execution"
  description = "ECS starts spokeprobe with it: pulls its image, writes its logs, reads its secrets"
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "ecs-tasks.amazonaws.com" }
      Action    = "sts:AssumeRole"
      Condition = { StringEquals = { "aws:SourceAccount" = local.account } }
    }]
  })
  tags = var.tags
}

locals {
  parameter_arns = [for arn in values(var.secrets) : arn if strcontains(arn, ":ssm:")]
  secret_arns    = [for arn in values(var.secrets) : arn if strcontains(arn, ":secretsmanager:")]

  execution_statements = concat(
    [{
      Sid      = "Logs"
      Effect   = "Allow"
      Action   = ["logs:CreateLogStream", "logs:PutLogEvents"]
      Resource = "arn:${local.partition}:logs:${local.region}:${local.account}:log-group:/spokeprobe/${var.name}:log-stream:*"
    }],
    # This action knows no resources.
    [for _ in length(var.ecr_repository_arns) > 0 ? [1] : [] : {
      Sid      = "RegistryLogin"
      Effect   = "Allow"
      Action   = "ecr:GetAuthorizationToken"
      Resource = "*"
    }],
    [for _ in length(var.ecr_repository_arns) > 0 ? [1] : [] : {
      Sid      = "Images"
      Effect   = "Allow"
      Action   = ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"]
      Resource = var.ecr_repository_arns
    }],
    [for _ in length(local.parameter_arns) > 0 ? [1] : [] : {
      Sid      = "Parameters"
      Effect   = "Allow"
      Action   = "ssm:GetParameters"
      Resource = local.parameter_arns
    }],
    [for _ in length(local.secret_arns) > 0 ? [1] : [] : {
      Sid      = "Secrets"
      Effect   = "Allow"
      Action   = "secretsmanager:GetSecretValue"
      Resource = local.secret_arns
    }],
    [for _ in length(var.secrets_kms_key_arns) > 0 ? [1] : [] : {
      Sid      = "SecretsKeys"
      Effect   = "Allow"
      Action   = "kms:Decrypt"
      Resource = var.secrets_kms_key_arns
    }],
  )
}

resource "aws_iam_role_policy" "execution" {
  count = local.fargate ? 1 : 0
  name  = "spokeprobe-execution"
  role  = aws_iam_role.execution[0].id
  policy = jsonencode({
    Version   = "2012-10-17"
    Statement = local.execution_statements
  })
}
