# The configuration in S3, for config_source = "s3": versioned, closed to the public, read over TLS only.

locals {
  config_bucket = "${var.name}-${local.account}-${local.region}"
  config_prefix = "config/"
  config_key    = "${local.config_prefix}config.yaml"
  # With its region: whether the environment names one depends on where the agent runs.
  config_url = "s3://${local.config_bucket}/${local.config_key}?region=${local.region}"
}

resource "aws_s3_bucket" "config" {
  # checkov:skip=CKV_AWS_144:one small file that Terraform writes again
  # checkov:skip=CKV_AWS_18:read by one role; CloudTrail data events tell more than access logs
  # checkov:skip=CKV2_AWS_61:old versions of one small file are kept on purpose
  # checkov:skip=CKV2_AWS_62:the agent watches the ETag, nothing waits for an event
  count  = var.config_source == "s3" ? 1 : 0
  bucket = local.config_bucket
  tags   = var.tags

  lifecycle {
    precondition {
      condition     = length(local.config_bucket) <= 63
      error_message = "The bucket's name ${local.config_bucket} has more than 63 characters, the limit of S3: choose a shorter name."
    }
  }
}

resource "aws_s3_bucket_versioning" "config" {
  count  = var.config_source == "s3" ? 1 : 0
  bucket = aws_s3_bucket.config[0].id

  versioning_configuration {
    status = "Enabled"
  }
}

resource "aws_s3_bucket_public_access_block" "config" {
  count                   = var.config_source == "s3" ? 1 : 0
  bucket                  = aws_s3_bucket.config[0].id
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_server_side_encryption_configuration" "config" {
  count  = var.config_source == "s3" ? 1 : 0
  bucket = aws_s3_bucket.config[0].id

  rule {
    bucket_key_enabled = var.kms_key_arn != null

    apply_server_side_encryption_by_default {
      sse_algorithm     = var.kms_key_arn == null ? "AES256" : "aws:kms"
      kms_master_key_id = var.kms_key_arn
    }
  }
}

resource "aws_s3_bucket_policy" "config" {
  count  = var.config_source == "s3" ? 1 : 0
  bucket = aws_s3_bucket.config[0].id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "TlsOnly"
      Effect    = "Deny"
      Principal = { AWS = "*" }
      Action    = "s3:*"
      Resource  = ["arn:${local.partition}:s3:::${local.config_bucket}", "arn:${local.partition}:s3:::${local.config_bucket}/*"]
      Condition = { Bool = { "aws:SecureTransport" = "false" } }
    }]
  })
}

resource "aws_s3_object" "config" {
  for_each     = var.config_source == "s3" ? merge(var.config_includes, { "config.yaml" = var.config_yaml }) : {}
  bucket       = aws_s3_bucket.config[0].id
  key          = "${local.config_prefix}${each.key}"
  content      = each.value
  content_type = "application/yaml"
  tags         = var.tags

  depends_on = [aws_s3_bucket_versioning.config, aws_s3_bucket_policy.config, aws_s3_bucket_server_side_encryption_configuration.config]
}
