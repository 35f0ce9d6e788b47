# Rights of the roles. Every action is listed and every resource named; `exceptions` has the wildcards with their reasons.

locals {
  scope = "${var.region}:${var.account_id}"
  names = {
    function     = "acs:fc:${local.scope}:functions/${var.function_name}"
    alias        = "acs:fc:${local.scope}:functions/${var.function_name}/${var.function_alias}"
    registry     = "acs:cr:${local.scope}:instance/${var.registry_instance_id}"
    repositories = [for service in ["ingest-fn", "drain-worker"] : "acs:cr:${local.scope}:repository/${var.registry_instance_id}/${var.registry_namespace}/${service}"]
    logstore     = "acs:log:${local.scope}:project/${var.log_project}/logstore/${var.function_logstore}"
    role         = "acs:ram::${var.account_id}:role/${var.name}-function"
  }

  catalogue_bucket = var.catalogue == null ? "" : "acs:oss:oss-${local.scope}:${var.catalogue.bucket}"

  # Statements by role. A resource that ends in `/*` needs an entry in `exceptions`.
  statements = {
    function = concat(
      [
        { actions = ["log:PostLogStoreLogs"], resources = [local.names.logstore] },
        # By the vendor's page on images the platform pulls with the function's role; by another page its service role suffices
        # (both pages certain). The right is limited to one image.
        { actions = ["cr:PullRepository", "cr:GetRepository", "cr:GetArtifactTag"], resources = [local.names.repositories[0]] },
        { actions = ["cr:GetAuthorizationToken", "cr:GetInstance", "cr:GetInstanceVpcEndpoint"], resources = [local.names.registry] },
      ],
      # A read-only mount (certain: vendor's page on OSS mounts): the folder's own object, and the catalogue.
      var.catalogue == null ? [] : [
        { actions = ["oss:ListObjects"], resources = [local.catalogue_bucket] },
        { actions = ["oss:GetObject"], resources = ["${local.catalogue_bucket}${var.catalogue.folder}/", "${local.catalogue_bucket}${var.catalogue.folder}/sales.toml"] },
      ],
      var.function_platform_rights ? [
        {
          actions = [
            "ecs:CreateNetworkInterface", "ecs:DeleteNetworkInterface", "ecs:DescribeNetworkInterfaces",
            "ecs:CreateNetworkInterfacePermission", "ecs:DescribeNetworkInterfacePermissions", "ecs:DeleteNetworkInterfacePermission",
            "vpc:DescribeVSwitchAttributes", "vpc:DescribeVpcAttribute",
          ]
          resources = ["*"]
        },
      ] : [],
    )
    # The alias only: no other version, not LATEST, no other function.
    gateway = [{ actions = ["fc:InvokeFunction"], resources = [local.names.alias], source_vpc = var.vpc_id }]
    builder = [
      { actions = ["cr:GetAuthorizationToken"], resources = [local.names.registry] },
      { actions = ["cr:PushRepository", "cr:PullRepository"], resources = local.names.repositories },
    ]
  }

  # A separate local that only the deployer's statements use: otherwise every user of `names` would depend on the workers'
  # application. The application's name has its namespace in it (certain: the API page of StopApplication).
  application      = "acs:sae:${local.scope}:application/${var.worker_namespace_id}/${var.worker_application_id}"
  all_applications = "acs:sae:${local.scope}:*"
  kms_secrets      = "acs:kms:${local.scope}:secret/*"
  deployer_statements = concat(
    [
      { actions = ["fc:GetFunction", "fc:UpdateFunction", "fc:PublishFunctionVersion"], resources = [local.names.function] },
      { actions = ["fc:GetAlias", "fc:UpdateAlias"], resources = [local.names.function, "${local.names.function}/*"] },
      { actions = ["sae:DeployApplication"], resources = [var.deploys_one_application ? local.application : local.all_applications] },
      { actions = ["sae:DescribeApplicationConfig", "sae:DescribeChangeOrder", "sae:ListChangeOrders", "sae:AbortChangeOrder"], resources = [local.all_applications] },
      { actions = ["cr:GetAuthorizationToken"], resources = [local.names.registry] },
      # The deployer migrates with the workers' image. It does not push: the builder does.
      { actions = ["cr:PullRepository"], resources = local.names.repositories },
      # An update of the function passes its role: only this role, and only to Function Compute.
      { actions = ["ram:PassRole"], resources = [local.names.role], service = "fc.aliyuncs.com" },
    ],
    length(var.deploy_secret_names) == 0 ? [] : [{
      actions   = ["oos:GetSecretParameter"]
      resources = [for secret in var.deploy_secret_names : "acs:oos:${local.scope}:secretparameter/${secret}"]
      },
      { actions = ["kms:GetSecretValue"], resources = [local.kms_secrets] },
    ],
  )

  roles = setunion(keys(local.service_trust), keys(local.pipeline_trust))

  documents = {
    for role in setsubtract(local.roles, ["deployer"]) : role => {
      Version = "1"
      Statement = [
        for statement in local.statements[role] : merge(
          { Effect = "Allow", Action = statement.actions, Resource = statement.resources },
          try(statement.source_vpc, null) == null ? {} : { Condition = { StringEquals = { "acs:SourceVpc" = [statement.source_vpc] } } },
        )
      ]
    }
  }
  deployer_document = {
    Version = "1"
    Statement = [
      for statement in local.deployer_statements : merge(
        { Effect = "Allow", Action = statement.actions, Resource = statement.resources },
        try(statement.service, null) == null ? {} : { Condition = { StringEquals = { "acs:Service" = [statement.service] } } },
      )
    ]
  }

  # Every resource with a wildcard, by role and resource, with its reason. A test fails on a wildcard without an entry, and
  # on an unused entry.
  exceptions = merge(
    contains(local.roles, "deployer") ? {
      "deployer ${local.names.function}/*" = "versions and aliases of the function: an alias is named below its function, and which form the service compares is likely, not certain"
      "deployer ${local.all_applications}" = "what reads, lists or changes change orders takes no resource (certain: \"Custom policy reference\" of SAE), and by its API page deploying does not either (see deploys_one_application)"
    } : {},
    length(var.deploy_secret_names) > 0 ? {
      "deployer ${local.kms_secrets}" = "reading a parameter also takes kms:GetSecretValue (certain: the API's page of GetSecretParameter), on a name of the service's choosing; an account without a KMS instance has no other secrets there"
    } : {},
    var.function_platform_rights ? {
      "function *" = "network interfaces are made with names of the service's choosing; the vendor's own service role has no narrower resource (certain: AliyunServiceRolePolicyForFC)"
    } : {},
  )
}
