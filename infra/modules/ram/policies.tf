# Rights of the roles. Names are composed, because the roles exist before what they name: so the platform's root makes no role,
# and the role that applies it may change none.

locals {
  scope         = "${var.region}:${var.account_id}"
  function_name = "${var.name}-ingest"
  names = {
    function     = "acs:fc:${local.scope}:functions/${local.function_name}"
    alias        = "acs:fc:${local.scope}:functions/${local.function_name}/live"
    registry     = "acs:cr:${local.scope}:instance/${var.registry.instance_id}"
    repositories = [for service in ["ingest-fn", "drain-worker"] : "acs:cr:${local.scope}:repository/${var.registry.instance_id}/${var.registry.namespace}/${service}"]
    log_project  = "acs:log:${local.scope}:project/${var.name}-${var.account_id}"
    logstore     = "acs:log:${local.scope}:project/${var.name}-${var.account_id}/logstore/function"
    state_bucket = "acs:oss:oss-${local.scope}:${var.state.bucket}"
    state_files  = "acs:oss:oss-${local.scope}:${var.state.bucket}/${var.state.prefix}/*"
    locks        = "acs:ots:${local.scope}:instance/${var.state.lock_instance}/table/${var.state.lock_table}"
    keys         = "acs:kms:${local.scope}:key/*"
    kms_secrets  = "acs:kms:${local.scope}:secret/*"
    parameters   = "acs:oos:${local.scope}:secretparameter/${var.name}-*"
    alert_centre = "acs:log:*:${var.account_id}:project/sls-alert-${var.account_id}-*"
    records      = "acs:log:${var.records_region}:${var.account_id}:resource/*"
    # The application's name has its namespace in it (certain: the API page of StopApplication), and the namespace its region.
    application      = "acs:sae:${local.scope}:application/${var.region}:${substr(replace(var.name, "-", ""), 0, 20)}/*"
    all_applications = "acs:sae:${local.scope}:*"
  }
  catalogue_bucket  = var.catalogue == null ? "" : "acs:oss:oss-${local.scope}:${var.catalogue.bucket}"
  runner_parameters = [for secret in ["runner-github-token", "admin-token", "admin-read-token"] : "acs:oos:${local.scope}:secretparameter/${var.name}-${secret}"]
  # Parameters that a release reads in the VPC.
  release_parameters = [for secret in ["migrator-url", "broker-worker"] : "acs:oos:${local.scope}:secretparameter/${var.name}-${secret}"]

  # What Terraform makes in the platform's root, by service: the resources that a policy can name, and why not fewer.
  managed = {
    fc         = { resources = [local.names.function, "${local.names.function}/*"], reason = "versions, aliases and triggers of the function have names below its own" }
    log        = { resources = [local.names.log_project, "${local.names.log_project}/*", local.names.records], reason = "logstores, indexes, alerts and dashboards are below the project; recipients are records of the account (name likely), and the account's alert centre is in a region that was chosen once, in the console or by the first alert" }
    oos        = { resources = [local.names.parameters], reason = "a parameter for each secret, all with the environment's prefix" }
    kms        = { resources = [local.names.kms_secrets], reason = "the service keeps a parameter as a secret with a name of its choosing (certain: the API's page of GetSecretParameter), and the state's bucket uses a default key" }
    sae        = { resources = [local.names.all_applications], reason = "ids of the service's choosing, and listing calls take no resource (certain: \"Custom policy reference\" of SAE)" }
    rocketmq   = { resources = ["acs:rocketmq:${local.scope}:*"], reason = "the instance's id is of the service's choosing, and exists after the first apply" }
    polardb    = { resources = ["acs:polardb:${local.scope}:*"], reason = "the cluster's id is of the service's choosing, and exists after the first apply" }
    vpc        = { resources = ["acs:vpc:${local.scope}:*"], reason = "ids of VPC, vSwitches, NAT gateway and addresses are of the service's choosing" }
    ecs        = { resources = ["acs:ecs:${local.scope}:*"], reason = "ids of security groups and of the runner's instance are of the service's choosing" }
    alb        = { resources = ["acs:alb:${local.scope}:*"], reason = "the load balancer's id is of the service's choosing" }
    apigateway = { resources = ["acs:apigateway:${local.scope}:*"], reason = "ids of group, APIs and plug-ins are of the service's choosing" }
    cloudapi   = { resources = ["acs:cloudapi:${local.scope}:*", "acs:apigateway:${local.scope}:*"], reason = "the same service has two codes (certain: API Gateway, \"RAM authorization\")" }
    cms        = { resources = ["*"], reason = "most calls of CloudMonitor take no resource (certain: its page \"RAM authorization\")" }
  }
  zones = var.dns_zone == null ? [] : ["acs:alidns:*:${var.account_id}:domain/${var.dns_zone}"]

  # Reading all of a service by its verbs: a provider's update reads more, and a list of calls would stop the plan.
  verbs = ["Describe*", "Get*", "List*", "Query*"]

  lock_state = [
    { actions = ["oss:ListObjects", "oss:GetBucketInfo"], resources = [local.names.state_bucket] },
    # The backend describes the table before it locks (Terraform's source of the OSS backend).
    { actions = ["ots:DescribeTable", "ots:GetRow", "ots:PutRow", "ots:UpdateRow", "ots:DeleteRow"], resources = [local.names.locks] },
    { actions = ["kms:Decrypt", "kms:GenerateDataKey"], resources = [local.names.keys] },
  ]

  # What a refresh reads beside the services in `managed` (certain: the provider's source).
  reads = [
    { actions = ["ram:ListResourceGroups"], resources = ["acs:ram:*:${var.account_id}:resourcegroup/*"] },
    { actions = ["cr:ListInstance"], resources = ["acs:cr:${local.scope}:instance/*"] },
    # Of the instance that the data source finds.
    { actions = ["cr:ListInstanceEndpoint", "cr:ListTagResources", "cr:Get*"], resources = [local.names.registry] },
    { actions = ["log:GetProject", "log:GetLogStore"], resources = [local.names.alert_centre, "${local.names.alert_centre}/logstore/internal-alert-center-log"] },
    { actions = ["bssapi:QueryAvailableInstances"], resources = ["*"] },
    { actions = ["polardb:CheckKMSAuthorized"], resources = local.managed.polardb.resources },
  ]

  read_release_parameters = [
    { actions = ["oos:GetSecretParameter"], resources = local.release_parameters },
    { actions = ["kms:GetSecretValue"], resources = [local.names.kms_secrets] },
  ]
  pull = [
    { actions = ["cr:GetAuthorizationToken"], resources = [local.names.registry] },
    { actions = ["cr:PullRepository"], resources = local.names.repositories },
  ]

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
    gateway = [{ actions = ["fc:InvokeFunction"], resources = [local.names.alias] }]
    # GitHub's token, and what operators need on this machine. A job has its own role, by its token.
    runner = [
      { actions = ["oos:GetSecretParameter"], resources = local.runner_parameters },
      { actions = ["kms:GetSecretValue"], resources = [local.names.kms_secrets] },
      { actions = ["cr:GetAuthorizationToken"], resources = [local.names.registry] },
      { actions = ["cr:PullRepository"], resources = [local.names.repositories[1]] },
      # For infra/deploy/admin-urls: addresses of the workers' admin port.
      { actions = ["sae:DescribeApplicationGroups", "sae:DescribeApplicationInstances"], resources = [local.names.all_applications] },
    ]
    build = [
      { actions = ["cr:GetAuthorizationToken"], resources = [local.names.registry] },
      { actions = ["cr:PushRepository", "cr:PullRepository"], resources = local.names.repositories },
    ]
    deploy = concat(
      [
        { actions = ["fc:GetFunction", "fc:UpdateFunction", "fc:PublishFunctionVersion"], resources = [local.names.function] },
        { actions = ["fc:GetAlias", "fc:UpdateAlias"], resources = [local.names.function, "${local.names.function}/*"] },
        { actions = ["sae:DeployApplication"], resources = [var.deploys_one_application ? local.names.application : local.names.all_applications] },
        { actions = ["sae:DescribeApplicationConfig", "sae:DescribeChangeOrder", "sae:ListChangeOrders", "sae:AbortChangeOrder"], resources = [local.names.all_applications] },
        # An update of the function passes its role: only this role, and only to Function Compute.
        { actions = ["ram:PassRole"], resources = ["acs:ram::${var.account_id}:role/${var.name}-function"], service = "fc.aliyuncs.com" },
      ],
      # It migrates with the workers' image. It does not push: the build does.
      local.pull,
      local.read_release_parameters,
    )
    plan = concat(
      local.lock_state,
      local.reads,
      [{ actions = ["oss:GetObject"], resources = [local.names.state_files] }],
      [for service, of in local.managed : { actions = [for verb in local.verbs : "${service}:${verb}"], resources = of.resources }],
      [for zone in local.zones : { actions = ["alidns:Describe*"], resources = [zone] }],
    )
    apply = concat(
      local.lock_state,
      local.reads,
      [{ actions = ["oss:GetObject", "oss:PutObject", "oss:DeleteObject"], resources = [local.names.state_files] }],
      [for service, of in local.managed : { actions = ["${service}:*"], resources = of.resources }],
      [for zone in local.zones : { actions = ["alidns:*DomainRecord*", "alidns:Describe*"], resources = [zone] }],
      [{ actions = ["cr:CreateInstanceVpcEndpointLinkedVpc", "cr:DeleteInstanceVpcEndpointLinkedVpc"], resources = [local.names.registry] }],
      # No right on RAM but to pass the three roles, each to its service.
      [for role, service in local.services : { actions = ["ram:PassRole"], resources = ["acs:ram::${var.account_id}:role/${var.name}-${role}"], service = service }],
    )
  }

  # Every wildcard, of a resource or an action, by role, with its reason. A test fails on a wildcard without an entry, and on an
  # unused entry.
  reasons = merge(
    { for service, of in local.managed : "plan ${service}" => of.reason },
    { for service, of in local.managed : "apply ${service}" => of.reason },
    { for role in ["plan", "apply"] : "${role} oss" => "the backend keeps the state in a file below the environment's folder" },
    { for role in ["plan", "apply"] : "${role} ram" => "the platform looks up its resource group by name (certain: Resource Management, \"Resource group API operations that can be authorized\")" },
    { for role in ["plan", "apply"] : "${role} cr" => "the platform looks up the registry by name, and reads its endpoints" },
    { for role in ["plan", "apply"] : "${role} bssapi" => "the provider reads how the broker is renewed, by a call that takes no resource (certain: its page)" },
    { for role in length(local.zones) > 0 ? ["plan", "apply"] : [] : "${role} alidns" => "DNS has no region, and its records have ids of the service's choosing" },
    { for role in ["deploy", "runner"] : "${role} kms" => local.managed.kms.reason },
    {
      "runner sae" = "listing calls take no resource (certain: \"Custom policy reference\" of SAE)"
      "deploy fc"  = "versions and aliases of the function: an alias is named below its function, and which form the service compares is likely, not certain"
      "deploy sae" = "the application's id is of the service's choosing, in a namespace of its own; what reads, lists or changes change orders takes no resource (certain: \"Custom policy reference\" of SAE)"
    },
    var.function_platform_rights ? {
      for service in ["ecs", "vpc"] : "function ${service}" => "network interfaces are made with names of the service's choosing; the vendor's own service role has no narrower resource (certain: AliyunServiceRolePolicyForFC)"
    } : {},
  )
  exceptions = { for key, reason in local.reasons : key => reason if contains(keys(local.trust), split(" ", key)[0]) }
}
