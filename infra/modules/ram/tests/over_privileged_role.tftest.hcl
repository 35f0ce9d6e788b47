mock_provider "alicloud" {}

variables {
  name                  = "spillway-test"
  region                = "cn-hangzhou"
  account_id            = "1234567890123456"
  function_name         = "spillway-test-ingest"
  worker_namespace_id   = "cn-hangzhou:spillwaytest"
  worker_application_id = "app-1"
  log_project           = "spillway-test"
  function_logstore     = "function"
  registry_instance_id  = "cri-1"
  registry_namespace    = "spillway-test"
  deploy_secret_names   = ["spillway-test-migrator-url"]
  github                = { repository = "example/spillway", environments = ["prod"] }
}

# The article's fourth failure: full access although one prefix was needed.
run "over_privileged_role" {
  assert {
    condition = alltrue(flatten([
      for role, policy in output.policies : [
        for statement in jsondecode(policy).Statement : [
          for action in statement.Action : can(regex("^[a-z]+:[A-Za-z]+$", action))
        ]
      ]
    ]))
    error_message = "every action must be listed without a wildcard"
  }
  assert {
    condition = alltrue(flatten([
      for role, policy in output.policies : [
        for statement in jsondecode(policy).Statement : [
          for resource in statement.Resource : !strcontains(resource, "*") || contains(keys(output.exceptions), "${role} ${resource}")
        ]
      ]
    ]))
    error_message = "a resource with a wildcard must have an entry in exceptions"
  }
  assert {
    condition = alltrue([
      for exception, reason in output.exceptions : length(reason) > 40 && contains(flatten([
        for role, policy in output.policies : [
          for statement in jsondecode(policy).Statement : [for resource in statement.Resource : "${role} ${resource}"]
        ]
      ]), exception)
    ])
    error_message = "every entry in exceptions must be in use and have a reason"
  }
  assert {
    condition = alltrue(flatten([
      for role, policy in output.policies : [
        for statement in jsondecode(policy).Statement : [
          for resource in statement.Resource : strcontains(resource, ":1234567890123456:") && (startswith(resource, "acs:ram::") || strcontains(resource, ":cn-hangzhou:"))
        ]
      ]
    ]))
    error_message = "resources must be in this account and region"
  }
}

run "every_role_has_exactly_these_rights" {
  assert {
    condition     = toset(keys(output.policies)) == toset(["function", "gateway", "builder", "deployer"])
    error_message = "there must be exactly these roles"
  }
  assert {
    condition = jsondecode(output.policies.function).Statement == [
      { Effect = "Allow", Action = ["log:PostLogStoreLogs"], Resource = ["acs:log:cn-hangzhou:1234567890123456:project/spillway-test/logstore/function"] },
      { Effect = "Allow", Action = ["cr:PullRepository", "cr:GetRepository", "cr:GetArtifactTag"], Resource = ["acs:cr:cn-hangzhou:1234567890123456:repository/cri-1/spillway-test/ingest-fn"] },
      { Effect = "Allow", Action = ["cr:GetAuthorizationToken", "cr:GetInstance", "cr:GetInstanceVpcEndpoint"], Resource = ["acs:cr:cn-hangzhou:1234567890123456:instance/cri-1"] },
    ]
    error_message = "the function must write its log and pull its image only: ${output.policies.function}"
  }
  assert {
    condition = jsondecode(output.policies.gateway).Statement == [
      { Effect = "Allow", Action = ["fc:InvokeFunction"], Resource = ["acs:fc:cn-hangzhou:1234567890123456:functions/spillway-test-ingest/live"] }
    ]
    error_message = "the gateway must call the alias only"
  }
  assert {
    condition = toset(flatten([for statement in jsondecode(output.policies.builder).Statement : statement.Action])) == toset([
      "cr:GetAuthorizationToken", "cr:PushRepository", "cr:PullRepository",
    ])
    error_message = "the builder must push and pull images only"
  }
  assert {
    condition = toset(flatten([for statement in jsondecode(output.policies.deployer).Statement : statement.Action])) == toset([
      "fc:GetFunction", "fc:UpdateFunction", "fc:PublishFunctionVersion", "fc:GetAlias", "fc:UpdateAlias",
      "sae:DescribeApplicationConfig", "sae:DeployApplication", "sae:DescribeChangeOrder", "sae:ListChangeOrders", "sae:AbortChangeOrder",
      "cr:GetAuthorizationToken", "cr:PullRepository", "ram:PassRole", "oos:GetSecretParameter", "kms:GetSecretValue",
    ])
    error_message = "the deployer must have exactly the rights that infra/deploy needs"
  }
}

run "the_deployer_passes_the_function_role_to_function_compute_only" {
  assert {
    condition = [
      for statement in jsondecode(output.policies.deployer).Statement : { resources = statement.Resource, condition = try(statement.Condition, null) }
      if contains(statement.Action, "ram:PassRole")
      ] == [{
        resources = ["acs:ram::1234567890123456:role/spillway-test-function"]
        condition = { StringEquals = { "acs:Service" = ["fc.aliyuncs.com"] } }
    }]
    error_message = "the deployer must pass only the function's role, and only to Function Compute"
  }
}

# ARN and actions: the API page of StopApplication ("acs:sae:{region}:{uid}:application/{namespaceId}/{appId}"), and the
# page "Custom policy reference", which leaves Query*, List*, Describe* and *ChangeOrder* at "acs:sae:{region}:{uid}:*".
run "the_deployer_may_deploy_the_workers" {
  assert {
    condition = {
      for statement in jsondecode(output.policies.deployer).Statement : join(",", sort(statement.Action)) => statement.Resource
      if anytrue([for action in statement.Action : startswith(action, "sae:")])
      } == {
      "sae:DeployApplication"                                                                           = ["acs:sae:cn-hangzhou:1234567890123456:application/cn-hangzhou:spillwaytest/app-1"]
      "sae:AbortChangeOrder,sae:DescribeApplicationConfig,sae:DescribeChangeOrder,sae:ListChangeOrders" = ["acs:sae:cn-hangzhou:1234567890123456:*"]
    }
    error_message = "the deployer must deploy the workers' application, and read and abort change orders"
  }
}

run "the_deployer_can_be_allowed_to_deploy_without_a_resource" {
  variables {
    deploys_one_application = false
  }

  assert {
    condition = alltrue([
      for statement in jsondecode(output.policies.deployer).Statement : statement.Resource == ["acs:sae:cn-hangzhou:1234567890123456:*"]
      if anytrue([for action in statement.Action : startswith(action, "sae:")])
    ])
    error_message = "no action of SAE must name a resource"
  }
}

run "only_approved_workflows_of_one_repository_may_deploy" {
  assert {
    condition = jsondecode(output.trust.deployer).Statement[0].Condition.StringEquals == {
      "oidc:iss" = ["https://token.actions.githubusercontent.com"]
      "oidc:aud" = ["sts.aliyuncs.com"]
      "oidc:sub" = ["repo:example/spillway:environment:prod"]
    }
    error_message = "the trust policy must compare issuer, audience and environment exactly"
  }
  assert {
    condition = (
      jsondecode(output.trust.builder).Statement[0].Condition.StringEquals["oidc:sub"] == ["repo:example/spillway:environment:prod-build"] &&
      !strcontains(join("", values(output.trust)), "*") && !strcontains(join("", values(output.trust)), "StringLike")
    )
    error_message = "no trust policy may have a pattern"
  }
  assert {
    condition     = one(alicloud_ims_oidc_provider.github).client_ids == toset(["sts.aliyuncs.com"])
    error_message = "the provider must have the same audience"
  }
  # ROS's ALIYUN::RAM::OIDCProvider requires 1 to 5 fingerprints; the API's page does not say what happens without.
  assert {
    condition     = length(one(alicloud_ims_oidc_provider.github).fingerprints) > 0
    error_message = "the provider must have a fingerprint"
  }
}

run "each_service_assumes_its_own_role" {
  assert {
    condition = { for role in ["function", "gateway"] : role => jsondecode(output.trust[role]).Statement[0].Principal.Service } == {
      function = ["fc.aliyuncs.com"], gateway = ["apigateway.aliyuncs.com"]
    }
    error_message = "each role must trust its own service only"
  }
}

run "without_a_pipeline_no_workflow_is_trusted" {
  variables {
    github = null
  }

  assert {
    condition     = toset(keys(output.policies)) == toset(["function", "gateway"]) && output.oidc_provider_arn == null && output.role_arns.deployer == null
    error_message = "there must be two roles and no provider"
  }
}

run "the_platform_rights_are_listed_by_action" {
  variables {
    function_platform_rights = true
  }

  assert {
    condition = alltrue(flatten([
      for statement in jsondecode(output.policies.function).Statement : [for action in statement.Action : can(regex("^[a-z]+:[A-Za-z]+$", action))]
    ])) && contains(keys(output.exceptions), "function *")
    error_message = "actions must be listed, and the wildcard must have an entry in exceptions"
  }
}

run "the_gateway_role_can_be_limited_to_a_vpc" {
  variables {
    vpc_id = "vpc-1"
  }

  assert {
    condition     = jsondecode(output.policies.gateway).Statement[0].Condition.StringEquals["acs:SourceVpc"] == ["vpc-1"]
    error_message = "the policy must have the condition on the VPC"
  }
}

run "a_wildcard_repository_is_rejected" {
  command = plan

  variables {
    github = { repository = "example/*", environments = ["prod"] }
  }

  expect_failures = [var.github]
}

run "an_empty_list_of_environments_is_rejected" {
  command = plan

  variables {
    github = { repository = "example/spillway", environments = [] }
  }

  expect_failures = [var.github]
}

# An account has one provider for an issuer: a second environment uses the first one's.
run "an_existing_oidc_provider_is_used" {
  variables {
    github = { repository = "example/spillway", environments = ["dev"], oidc_provider_arn = "acs:ram::1234567890123456:oidc-provider/another-github" }
  }

  assert {
    condition     = length(alicloud_ims_oidc_provider.github) == 0 && output.oidc_provider_arn == "acs:ram::1234567890123456:oidc-provider/another-github"
    error_message = "there must be no second provider"
  }
  assert {
    condition     = jsondecode(output.trust.deployer).Statement[0].Principal.Federated == ["acs:ram::1234567890123456:oidc-provider/another-github"]
    error_message = "the trust policy must name the existing provider"
  }
}

run "a_mounted_catalogue_gives_the_function_these_rights_alone" {
  variables {
    catalogue = { bucket = "spillway-test", folder = "/catalogue" }
  }
  assert {
    condition = slice(jsondecode(output.policies.function).Statement, 3, length(jsondecode(output.policies.function).Statement)) == [
      { Effect = "Allow", Action = ["oss:ListObjects"], Resource = ["acs:oss:oss-cn-hangzhou:1234567890123456:spillway-test"] },
      { Effect = "Allow", Action = ["oss:GetObject"], Resource = ["acs:oss:oss-cn-hangzhou:1234567890123456:spillway-test/catalogue/", "acs:oss:oss-cn-hangzhou:1234567890123456:spillway-test/catalogue/sales.toml"] },
    ]
    error_message = "the function must read the catalogue only: ${output.policies.function}"
  }
}
