# The place to run from: an instance without a key or a public address, reached by Session Manager.

data "aws_ssm_parameter" "image" {
  name = "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-arm64"
}

resource "aws_iam_role" "runner" {
  name        = local.hub_role_name
  description = "The hub's role: assumes the role of the spoke"
  assume_role_policy = jsonencode({
    Version   = "2012-10-17"
    Statement = [{ Effect = "Allow", Principal = { Service = "ec2.amazonaws.com" }, Action = "sts:AssumeRole" }]
  })
  tags = var.tags
}

resource "aws_iam_role_policy" "runner" {
  name = "spokeprobe"
  role = aws_iam_role.runner.id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid      = "SpokeprobeAssume"
      Effect   = "Allow"
      Action   = "sts:AssumeRole"
      Resource = module.spoke.role_arn
    }]
  })
}

resource "aws_iam_role_policy_attachment" "runner" {
  role       = aws_iam_role.runner.name
  policy_arn = "arn:${local.partition}:iam::aws:policy/AmazonSSMManagedInstanceCore"
}

resource "aws_iam_instance_profile" "runner" {
  name = local.hub_role_name
  role = aws_iam_role.runner.name
  tags = var.tags
}

resource "aws_instance" "runner" {
  ami                         = data.aws_ssm_parameter.image.insecure_value
  instance_type               = "t4g.small"
  subnet_id                   = aws_subnet.private[0].id
  vpc_security_group_ids      = [aws_security_group.runner.id]
  associate_public_ip_address = false
  iam_instance_profile        = aws_iam_instance_profile.runner.name
  ebs_optimized               = true
  monitoring                  = true
  tags                        = merge(var.tags, { Name = "${var.name}-runner" })

  metadata_options {
    http_endpoint               = "enabled"
    http_tokens                 = "required"
    http_put_response_hop_limit = 1
  }

  root_block_device {
    encrypted = true
  }

  lifecycle {
    # A new image of Amazon must not replace the instance in the middle of a drill.
    ignore_changes = [ami]
  }
}
