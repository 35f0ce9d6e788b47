mock_provider "alicloud" {}

variables {
  name       = "spillway-test"
  region     = "cn-hangzhou"
  account_id = "1234567890123456"
  registry   = { instance_id = "cri-1", namespace = "spillway" }
  state      = { bucket = "spillway-state", prefix = "spillway/test", lock_instance = "locks", lock_table = "terraform_lock" }
  dns_zone   = "example.com"
  github = {
    repository   = "example/spillway", environment = "test", audience = "sts.aliyuncs.com"
    provider_arn = "acs:ram::1234567890123456:oidc-provider/spillway-github"
  }
}

# The article's fourth failure: full access although one prefix was needed.
run "over_privileged_role" {
  variables {
    function_platform_rights = true
    catalogue                = { bucket = "spillway-catalogue", folder = "/catalogue" }
  }

  # RAM, "Policy elements": an action is service:name, and `*` alone gives all services.
  assert {
    condition = alltrue(flatten([
      for role, policy in output.policies : [
        for statement in jsondecode(policy).Statement : [
          for action in statement.Action : can(regex("^[a-z]+:[A-Za-z]+$", action)) || (
            contains(["plan", "apply"], role) && can(regex("^[a-z]+:[A-Za-z]*\\*[A-Za-z]*\\*?$", action)) && contains(keys(output.exceptions), "${role} ${split(":", action)[0]}")
          )
        ]
      ]
    ]))
    error_message = "every action must be listed; plan and apply may have those of one service, with a reason"
  }
  assert {
    condition = alltrue(flatten([
      for role, policy in output.policies : [
        for statement in jsondecode(policy).Statement : [
          for pair in setproduct(statement.Action, statement.Resource) : !strcontains(pair[1], "*") || contains(keys(output.exceptions), "${role} ${split(":", pair[0])[0]}")
        ]
      ]
    ]))
    error_message = "a resource with a wildcard must have an entry in exceptions"
  }
  assert {
    condition = alltrue([
      for exception, reason in output.exceptions : length(reason) > 40 && contains(flatten([
        for role, policy in output.policies : [
          for statement in jsondecode(policy).Statement : [
            for pair in setproduct(statement.Action, statement.Resource) : "${role} ${split(":", pair[0])[0]}" if strcontains("${pair[0]}${pair[1]}", "*")
          ]
        ]
      ]), exception)
    ])
    error_message = "every entry in exceptions must be in use and have a reason"
  }
  # No other account, and another region only where the service has none.
  assert {
    condition = alltrue(flatten([
      for role, policy in output.policies : [
        for statement in jsondecode(policy).Statement : [
          for resource in statement.Resource : resource == "*" ? role == "function" || alltrue([for action in statement.Action : startswith(action, "cms:") || action == "bssapi:QueryAvailableInstances"]) : strcontains(resource, ":1234567890123456:") && can(regex(
            "^acs:(ram::|ram:\\*:[0-9]+:resourcegroup/|alidns:\\*:|log:\\*:[0-9]+:project/sls-alert-|log:cn-heyuan:|oss:oss-cn-hangzhou:|[a-z]+:cn-hangzhou:)", resource,
          ))
        ]
      ]
    ]))
    error_message = "resources must be in this account and region"
  }
  # RAM, "Limits": the text of a policy has at most 6,144 characters.
  assert {
    condition     = alltrue([for policy in output.policies : length(policy) <= 6144])
    error_message = "a policy is too long: ${jsonencode({ for role, policy in output.policies : role => length(policy) })}"
  }
}

# Who can change roles can give himself any right.
run "no_role_changes_roles_the_trail_or_the_registry" {
  assert {
    condition = toset(flatten([
      for policy in output.policies : [
        for statement in jsondecode(policy).Statement : [for action in statement.Action : action if can(regex("^(ram|sts|actiontrail|config|ims|bssapi|\\*)", action))]
      ]
    ])) == toset(["ram:PassRole", "ram:ListResourceGroups", "bssapi:QueryAvailableInstances"])
    error_message = "no role may have a right on roles but to pass them, nor on bills but to read how the broker is renewed"
  }
  assert {
    condition = alltrue(flatten([
      for policy in output.policies : [
        for statement in jsondecode(policy).Statement : length(statement.Resource) == 1 && startswith(statement.Resource[0], "acs:ram::1234567890123456:role/spillway-test-") &&
        contains(["fc.aliyuncs.com", "apigateway.aliyuncs.com", "ecs.aliyuncs.com"], statement.Condition.StringEquals["acs:Service"][0])
        if contains(statement.Action, "ram:PassRole")
      ]
    ]))
    error_message = "a role may be passed to its own service only"
  }
  assert {
    condition = !anytrue(flatten([
      for policy in output.policies : [
        for statement in jsondecode(policy).Statement : [for action in statement.Action : contains(["cr:*", "oss:*", "ots:*"], action)]
      ]
    ]))
    error_message = "registry, state and locks must have listed actions"
  }
}

# What infra/deploy calls, by the vendor's tables of actions. SAE's ARN: the API page of StopApplication; the actions that take no
# resource: the page "Custom policy reference", which leaves Query*, List*, Describe* and *ChangeOrder* at "acs:sae:{region}:{uid}:*".
run "build_release_and_services_have_exactly_these_rights" {
  assert {
    condition = { for role in ["function", "gateway", "build", "runner"] : role => flatten([for statement in jsondecode(output.policies[role]).Statement : [for action in statement.Action : [for resource in statement.Resource : "${action} ${resource}"]]]) } == {
      function = [
        "log:PostLogStoreLogs acs:log:cn-hangzhou:1234567890123456:project/spillway-test-1234567890123456/logstore/function",
        "cr:PullRepository acs:cr:cn-hangzhou:1234567890123456:repository/cri-1/spillway/ingest-fn",
        "cr:GetRepository acs:cr:cn-hangzhou:1234567890123456:repository/cri-1/spillway/ingest-fn",
        "cr:GetArtifactTag acs:cr:cn-hangzhou:1234567890123456:repository/cri-1/spillway/ingest-fn",
        "cr:GetAuthorizationToken acs:cr:cn-hangzhou:1234567890123456:instance/cri-1",
        "cr:GetInstance acs:cr:cn-hangzhou:1234567890123456:instance/cri-1",
        "cr:GetInstanceVpcEndpoint acs:cr:cn-hangzhou:1234567890123456:instance/cri-1",
      ]
      gateway = ["fc:InvokeFunction acs:fc:cn-hangzhou:1234567890123456:functions/spillway-test-ingest/live"]
      build = [
        "cr:GetAuthorizationToken acs:cr:cn-hangzhou:1234567890123456:instance/cri-1",
        "cr:PushRepository acs:cr:cn-hangzhou:1234567890123456:repository/cri-1/spillway/ingest-fn",
        "cr:PushRepository acs:cr:cn-hangzhou:1234567890123456:repository/cri-1/spillway/drain-worker",
        "cr:PullRepository acs:cr:cn-hangzhou:1234567890123456:repository/cri-1/spillway/ingest-fn",
        "cr:PullRepository acs:cr:cn-hangzhou:1234567890123456:repository/cri-1/spillway/drain-worker",
      ]
      runner = [
        "oos:GetSecretParameter acs:oos:cn-hangzhou:1234567890123456:secretparameter/spillway-test-runner-github-token",
        "oos:GetSecretParameter acs:oos:cn-hangzhou:1234567890123456:secretparameter/spillway-test-admin-token",
        "oos:GetSecretParameter acs:oos:cn-hangzhou:1234567890123456:secretparameter/spillway-test-admin-read-token",
        "kms:GetSecretValue acs:kms:cn-hangzhou:1234567890123456:secret/*",
        "cr:GetAuthorizationToken acs:cr:cn-hangzhou:1234567890123456:instance/cri-1",
        "cr:PullRepository acs:cr:cn-hangzhou:1234567890123456:repository/cri-1/spillway/drain-worker",
        "sae:DescribeApplicationGroups acs:sae:cn-hangzhou:1234567890123456:*",
        "sae:DescribeApplicationInstances acs:sae:cn-hangzhou:1234567890123456:*",
      ]
    }
    error_message = "function, gateway, build and runner must have these rights only: ${jsonencode(output.policies)}"
  }
  assert {
    condition = {
      for statement in jsondecode(output.policies.deploy).Statement : join(",", sort(statement.Action)) => statement.Resource
      } == {
      "fc:GetFunction,fc:PublishFunctionVersion,fc:UpdateFunction"                                      = ["acs:fc:cn-hangzhou:1234567890123456:functions/spillway-test-ingest"]
      "fc:GetAlias,fc:UpdateAlias"                                                                      = ["acs:fc:cn-hangzhou:1234567890123456:functions/spillway-test-ingest", "acs:fc:cn-hangzhou:1234567890123456:functions/spillway-test-ingest/*"]
      "sae:DeployApplication"                                                                           = ["acs:sae:cn-hangzhou:1234567890123456:application/cn-hangzhou:spillwaytest/*"]
      "sae:AbortChangeOrder,sae:DescribeApplicationConfig,sae:DescribeChangeOrder,sae:ListChangeOrders" = ["acs:sae:cn-hangzhou:1234567890123456:*"]
      "ram:PassRole"                                                                                    = ["acs:ram::1234567890123456:role/spillway-test-function"]
      "cr:GetAuthorizationToken"                                                                        = ["acs:cr:cn-hangzhou:1234567890123456:instance/cri-1"]
      "cr:PullRepository"                                                                               = [for service in ["ingest-fn", "drain-worker"] : "acs:cr:cn-hangzhou:1234567890123456:repository/cri-1/spillway/${service}"]
      "oos:GetSecretParameter"                                                                          = [for secret in ["migrator-url", "broker-worker"] : "acs:oos:cn-hangzhou:1234567890123456:secretparameter/spillway-test-${secret}"]
      "kms:GetSecretValue"                                                                              = ["acs:kms:cn-hangzhou:1234567890123456:secret/*"]
    }
    error_message = "a release must have these rights only: ${output.policies.deploy}"
  }
}

# Calls of a refresh that the verbs and services of the policies do not show. Source: the provider's Read functions at v1.289.0
# (28ee93bc), by type; their actions and resources by the vendor's pages of the calls. Example names are of this test's.
run "a_refresh_may_read_what_the_provider_reads" {
  variables {
    records_region = "cn-heyuan"
  }

  assert {
    condition = alltrue(flatten([
      for role in ["plan", "apply"] : [
        for call in [
          # alicloud_log_alert_resource of type user: the account's settings name the region of the alert centre.
          ["log:GetResourceRecord", "acs:log:cn-heyuan:1234567890123456:resource/sls.alert.global_config/record/default_config"],
          ["log:GetProject", "acs:log:cn-shanghai:1234567890123456:project/sls-alert-1234567890123456-cn-shanghai"],
          ["log:GetLogStore", "acs:log:cn-shanghai:1234567890123456:project/sls-alert-1234567890123456-cn-shanghai/logstore/internal-alert-center-log"],
          # alicloud_polardb_cluster with TDE.
          ["polardb:CheckKMSAuthorized", "acs:polardb:cn-hangzhou:1234567890123456:dbcluster/pc-1"],
          # alicloud_rocketmq_instance: "All Resources".
          ["bssapi:QueryAvailableInstances", "*"],
          # data alicloud_cr_ee_instances.
          ["cr:ListInstance", "acs:cr:cn-hangzhou:1234567890123456:instance/*"],
          ["cr:ListTagResources", "acs:cr:cn-hangzhou:1234567890123456:instance/cri-1"],
          ["cr:GetInstanceUsage", "acs:cr:cn-hangzhou:1234567890123456:instance/cri-1"],
          ["cr:ListInstanceEndpoint", "acs:cr:cn-hangzhou:1234567890123456:instance/cri-1"],
          # alicloud_cr_vpc_endpoint_linked_vpc.
          ["cr:GetInstanceVpcEndpoint", "acs:cr:cn-hangzhou:1234567890123456:instance/cri-1"],
          # data alicloud_resource_manager_resource_groups.
          ["ram:ListResourceGroups", "acs:ram:*:1234567890123456:resourcegroup/*"],
          # alicloud_oos_secret_parameter.
          ["oos:GetSecretParameter", "acs:oos:cn-hangzhou:1234567890123456:secretparameter/spillway-test-gateway"],
          # alicloud_instance.
          ["ecs:DescribeUserData", "acs:ecs:cn-hangzhou:1234567890123456:instance/i-1"],
          ] : anytrue([
            for statement in jsondecode(output.policies[role]).Statement : alltrue([
              for wanted, granted in { (call[0]) = statement.Action, (call[1]) = statement.Resource } : anytrue([
                for pattern in granted : can(regex("^${replace(replace(pattern, ".", "\\."), "*", ".*")}$", wanted))
              ])
            ])
        ])
      ]
    ]))
    error_message = "a plan or an apply would end with NoPermission: ${jsonencode({ for role in ["plan", "apply"] : role => jsondecode(output.policies[role]).Statement })}"
  }
}

# The state has every secret: the plan reads it and writes the lock alone.
run "the_plan_changes_nothing" {
  assert {
    condition = alltrue(flatten([
      for statement in jsondecode(output.policies.plan).Statement : [
        for action in statement.Action : can(regex(":(Describe|Get|List|Query|Check|Decrypt$|GenerateDataKey$)", action)) || startswith(action, "ots:")
      ]
    ]))
    error_message = "the plan must only read: ${output.policies.plan}"
  }
  assert {
    condition = toset(flatten([
      for statement in jsondecode(output.policies.apply).Statement : statement.Resource if contains(statement.Action, "oss:PutObject")
    ])) == toset(["acs:oss:oss-cn-hangzhou:1234567890123456:spillway-state/spillway/test/*"])
    error_message = "an apply must write the state of its environment only"
  }
}

run "sae_can_be_allowed_without_a_resource" {
  variables {
    deploys_one_application = false
  }

  assert {
    condition = alltrue([
      for statement in jsondecode(output.policies.deploy).Statement : statement.Resource == ["acs:sae:cn-hangzhou:1234567890123456:*"]
      if anytrue([for action in statement.Action : startswith(action, "sae:")])
    ])
    error_message = "no action of SAE must name a resource"
  }
}

run "only_approved_workflows_of_one_repository_may_deploy" {
  assert {
    condition = { for role in ["build", "plan", "apply", "deploy"] : role => jsondecode(output.trust[role]).Statement[0].Condition.StringEquals } == {
      for role, suffix in { build = "-build", plan = "-plan", apply = "-apply", deploy = "" } : role => {
        "oidc:iss"                = ["https://token.actions.githubusercontent.com"]
        "oidc:aud"                = ["sts.aliyuncs.com"]
        "oidc:sub"                = ["repo:example/spillway:environment:test${suffix}"]
      }
    }
    error_message = "each trust policy must compare issuer, audience and environment exactly"
  }
  assert {
    condition = { for role in ["function", "gateway", "runner"] : role => jsondecode(output.trust[role]).Statement[0].Principal.Service } == {
      function = ["fc.aliyuncs.com"], gateway = ["apigateway.aliyuncs.com"], runner = ["ecs.aliyuncs.com"]
    }
    error_message = "each role must trust its own service only"
  }
}

run "without_a_pipeline_no_workflow_is_trusted" {
  variables {
    github = null
  }

  assert {
    condition     = toset(keys(output.role_arns)) == toset(["function", "gateway", "runner"]) && !strcontains(jsonencode(output.trust), "Federated")
    error_message = "there must be no role for a workflow"
  }
}

run "a_wildcard_repository_is_rejected" {
  command = plan

  variables {
    github = { repository = "example/*", environment = "prod", audience = "sts.aliyuncs.com", provider_arn = "acs:ram::1:oidc-provider/x" }
  }

  expect_failures = [var.github]
}

run "a_mounted_catalogue_gives_the_function_these_rights_alone" {
  variables {
    catalogue = { bucket = "spillway-test", folder = "/catalogue" }
  }

  assert {
    condition = { for statement in slice(jsondecode(output.policies.function).Statement, 3, 5) : statement.Action[0] => statement.Resource } == {
      "oss:ListObjects" = ["acs:oss:oss-cn-hangzhou:1234567890123456:spillway-test"]
      "oss:GetObject"   = ["acs:oss:oss-cn-hangzhou:1234567890123456:spillway-test/catalogue/", "acs:oss:oss-cn-hangzhou:1234567890123456:spillway-test/catalogue/sales.toml"]
    }
    error_message = "the function must read the catalogue only: ${output.policies.function}"
  }
}
