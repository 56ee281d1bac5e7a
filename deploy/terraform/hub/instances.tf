# The agent as a systemd service on one instance of an auto-scaling group. There is no key and no bastion: Session Manager.

locals {
  config_origin = var.config_source == "s3" ? local.config_url : "/etc/spokeprobe/config.yaml"

  # The first line stands here, so that the template is not taken for a script.
  user_data = join("\n", ["#!/bin/bash", templatefile("${path.module}/user-data.tftpl", {
    region           = local.region
    program_origin   = local.fargate ? "" : "s3://${var.program.bucket}/${var.program.key}"
    program_sha256   = local.fargate ? "" : var.program.sha256
    config_origin    = local.config_origin
    config_base64    = var.config_source == "s3" ? "" : base64encode(var.config_yaml)
    stop_timeout_sec = var.stop_timeout_seconds
    # The unit of the packages; only what differs is a drop-in.
    unit = trimspace(file("${path.module}/../../systemd/spokeprobe.service"))
  })])
}

resource "aws_launch_template" "agent" {
  count                  = local.fargate ? 0 : 1
  name                   = var.name
  update_default_version = true
  instance_type          = var.instance_type
  image_id = coalesce(
    var.instance_image_id,
    "resolve:ssm:/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-${var.cpu_architecture == "ARM64" ? "arm64" : "x86_64"}",
  )
  vpc_security_group_ids = [aws_security_group.agent.id]
  user_data              = base64encode(local.user_data)
  tags                   = var.tags

  iam_instance_profile {
    arn = aws_iam_instance_profile.agent[0].arn
  }

  # Version 2 of the metadata service only, and no further than the instance.
  metadata_options {
    http_endpoint               = "enabled"
    http_tokens                 = "required"
    http_put_response_hop_limit = 1
  }

  block_device_mappings {
    device_name = "/dev/xvda"

    ebs {
      encrypted             = true
      kms_key_id            = var.kms_key_arn
      volume_type           = "gp3"
      volume_size           = 10
      delete_on_termination = true
    }
  }

  monitoring {
    enabled = true
  }

  tag_specifications {
    resource_type = "instance"
    tags          = merge(var.tags, { Name = var.name })
  }

  lifecycle {
    precondition {
      condition     = length(local.user_data) <= 16384
      error_message = "The user data has more than 16 KB, the limit of EC2: use config_source = \"s3\"."
    }
  }
}

resource "aws_autoscaling_group" "agent" {
  count               = local.fargate ? 0 : 1
  name                = var.name
  min_size            = 1
  max_size            = 1
  desired_capacity    = 1
  vpc_zone_identifier = var.subnet_ids
  health_check_type   = "EC2"
  # So that a new version of the template replaces the instance, the old one first: two would double every probe.
  instance_refresh {
    strategy = "Rolling"

    preferences {
      min_healthy_percentage = 0
      max_healthy_percentage = 100
    }
  }

  launch_template {
    id      = aws_launch_template.agent[0].id
    version = aws_launch_template.agent[0].latest_version
  }

  dynamic "tag" {
    for_each = merge(var.tags, { Name = var.name })

    content {
      key                 = tag.key
      value               = tag.value
      propagate_at_launch = true
    }
  }

  depends_on = [aws_iam_role_policy_attachment.ssm, aws_iam_role_policy_attachment.assume, aws_s3_object.config]
}
