//! AWS's own pages that the explanations lean on.

/// A page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Page {
    /// What it is about; not always its literal title.
    pub title: &'static str,
    /// Its address.
    pub url: &'static str,
}

macro_rules! pages {
    ($($name:ident = $title:literal, $url:literal;)+) => {
        $(pub(super) const $name: Page = Page { title: $title, url: $url };)+

        #[cfg(test)]
        pub(super) const ALL: &[Page] = &[$($name),+];
    };
}

pages! {
    ENDPOINT_POLICIES = "Use VPC endpoint policies for private APIs in API Gateway",
        "https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-vpc-endpoint-policies.html";
    AUTHORIZATION_FLOW = "How API Gateway resource policies affect authorization workflow",
        "https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-authorization-flow.html";
    RESOURCE_POLICIES = "Create and attach an API Gateway resource policy to an API",
        "https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-resource-policies-create-attach.html";
    RESOURCE_POLICY_KEYS = "AWS condition keys that can be used in API Gateway resource policies",
        "https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-resource-policies-aws-condition-keys.html";
    GATEWAY_RESPONSES = "Gateway response types for API Gateway",
        "https://docs.aws.amazon.com/apigateway/latest/developerguide/supported-gateway-response-types.html";
    CUSTOM_RESPONSES = "Gateway responses for REST APIs in API Gateway",
        "https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-gatewayResponse-definition.html";
    PRIVATE_APIS = "Private REST APIs in API Gateway",
        "https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-private-apis.html";
    PRIVATE_API_CREATE = "Create a private API",
        "https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-private-api-create.html";
    PRIVATE_API_INVOKE = "Invoke a private API",
        "https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-private-api-test-invoke-url.html";
    SECURITY_POLICIES = "Security policies for APIs in API Gateway",
        "https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-security-policies.html";
    QUOTAS = "Quotas for configuring and running a REST API in API Gateway",
        "https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-execution-service-limits-table.html";
    KNOWN_ISSUES = "Important notes for API Gateway",
        "https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-known-issues.html";
    THROTTLING = "Throttle requests to your REST APIs for better throughput in API Gateway",
        "https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-request-throttling.html";
    ACCESS_LOG = "Variables for access logging for API Gateway",
        "https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-variables-for-access-logging.html";
    LAMBDA_AUTHORIZERS = "Use API Gateway Lambda authorizers",
        "https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-use-lambda-authorizer.html";
    USAGE_PLANS = "Usage plans and API keys for REST APIs in API Gateway",
        "https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-api-usage-plans.html";
    FORBIDDEN_403 = "How do I troubleshoot HTTP 403 errors from API Gateway?",
        "https://repost.aws/knowledge-center/api-gateway-troubleshoot-403-forbidden";
    VPC_CONNECTIONS = "Why do I get an HTTP 403 Forbidden error when I connect to my API Gateway APIs from a VPC?",
        "https://repost.aws/knowledge-center/api-gateway-vpc-connections";
    LIMIT_429 = "Troubleshoot HTTP 429 errors from API Gateway",
        "https://repost.aws/knowledge-center/api-gateway-429-limit";
    STS_THROTTLING = "Troubleshoot throttling errors from IAM and AWS STS",
        "https://repost.aws/knowledge-center/iam-sts-throttling-error";
    ACCESS_DENIED = "Troubleshoot access denied error messages",
        "https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot_access-denied.html";
    EVALUATION = "Policy evaluation logic",
        "https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html";
    PRINCIPAL = "AWS JSON policy elements: Principal",
        "https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_principal.html";
    BOUNDARIES = "Permissions boundaries for IAM entities",
        "https://docs.aws.amazon.com/IAM/latest/UserGuide/access_policies_boundaries.html";
    SERVICE_CONTROL_POLICIES = "Service control policies (SCPs)",
        "https://docs.aws.amazon.com/organizations/latest/userguide/orgs_manage_policies_scps.html";
    RESOURCE_CONTROL_POLICIES = "Resource control policies (RCPs)",
        "https://docs.aws.amazon.com/organizations/latest/userguide/orgs_manage_policies_rcps.html";
    SIGNATURE_TROUBLE = "Troubleshoot Signature Version 4 signing for AWS API requests",
        "https://docs.aws.amazon.com/IAM/latest/UserGuide/signature-v4-troubleshooting.html";
    SIGN_A_REQUEST = "Create a signed AWS API request",
        "https://docs.aws.amazon.com/IAM/latest/UserGuide/create-signed-request.html";
    ASSUME_ROLE = "AssumeRole, AWS Security Token Service API reference",
        "https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html";
    STS_REGIONS = "Manage AWS STS in an AWS Region",
        "https://docs.aws.amazon.com/IAM/latest/UserGuide/id_credentials_temp_enable-regions.html";
    STS_ENDPOINT = "Create a VPC endpoint for AWS STS",
        "https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sts_vpc_endpoint_create.html";
    ENDPOINT_QUOTAS = "AWS PrivateLink quotas",
        "https://docs.aws.amazon.com/vpc/latest/privatelink/vpc-limits-endpoints.html";
    ENDPOINT_ACCESS = "Control access to VPC endpoints using endpoint policies",
        "https://docs.aws.amazon.com/vpc/latest/privatelink/vpc-endpoints-access.html";
    LONG_CONNECTIONS = "Implementing long-running TCP connections within VPC networking",
        "https://aws.amazon.com/blogs/networking-and-content-delivery/implementing-long-running-tcp-connections-within-vpc-networking/";
    TASK_ROLE = "Amazon ECS task IAM role",
        "https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task-iam-roles.html";
}
